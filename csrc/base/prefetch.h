// Cache hints. They never fault, so addresses need not be valid.
#pragma once

#include <cstddef>

namespace vdb {

inline void prefetch(const void* address) noexcept { __builtin_prefetch(address, 0, 3); }

inline void prefetch_lines(const void* address, std::size_t lines) noexcept {
  const char* p = static_cast<const char*>(address);
  for (std::size_t i = 0; i < lines; ++i) prefetch(p + 64 * i);
}

}  // namespace vdb
