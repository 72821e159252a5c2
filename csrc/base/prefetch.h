// Cache hints, always inlined: kernels of any level take them. They never fault, so addresses need not be valid.
#pragma once

#include <cstddef>

namespace vdb {

// Into the second-level cache: it waits for more lines at once than the first does, and random rows come twice as fast
// (bench/micro/gather.py). The empty statement is an effect: without one GCC takes a function that only asks for memory
// to be one without effects and drops its calls.
[[gnu::always_inline]] inline void prefetch(const void* address) noexcept {
  __builtin_prefetch(address, 0, 2);
  asm volatile("");
}

inline constexpr std::size_t kCacheLineBytes = 64;

// Lines of a row to ask for ahead, at most: the first of a long row start the hardware's own prefetch of the rest
// (bench/micro/gather.py).
inline constexpr std::size_t kPrefetchLines = 24;

// Cache lines that hold this many bytes.
constexpr std::size_t lines_of(std::size_t bytes) noexcept { return (bytes + kCacheLineBytes - 1) / kCacheLineBytes; }

[[gnu::always_inline]] inline void prefetch_lines(const void* address, std::size_t lines) noexcept {
  const char* p = static_cast<const char*>(address);
  for (std::size_t i = 0; i < lines; ++i) prefetch(p + kCacheLineBytes * i);
}

}  // namespace vdb
