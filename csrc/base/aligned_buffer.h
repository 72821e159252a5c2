// An array of trivial values on cache-line boundaries, on huge pages where the system grants them: graph search reads
// rows at random, and one 2 MiB page saves the TLB misses of 512 small ones. Or an array in memory of somebody else,
// such as a mapped file, which it keeps alive.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/prefetch.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace vdb {

inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

template <class T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  AlignedBuffer(std::size_t size, T fill) : data_(allocate(size)), size_(size) {
    std::uninitialized_fill_n(data_.get(), size, fill);
  }
  // Borrows `size` values at `data`, on a cache line, of memory that lives as long as `owner`.
  AlignedBuffer(T* data, std::size_t size, std::shared_ptr<const void> owner)
      : data_(data, Free{{}, std::move(owner)}), size_(size) {
    VDB_ASSERT(reinterpret_cast<std::uintptr_t>(data) % kCacheLineBytes == 0);
  }

  T* data() noexcept { return data_.get(); }
  const T* data() const noexcept { return data_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return size_ * sizeof(T); }
  T& operator[](std::size_t i) noexcept { return data_.get()[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_.get()[i]; }
  std::span<T> span() noexcept { return {data(), size_}; }
  std::span<const T> span() const noexcept { return {data(), size_}; }

  // A larger buffer with the same head and `fill` behind it.
  AlignedBuffer grown(std::size_t size, T fill) const {
    AlignedBuffer larger(size, fill);
    std::copy_n(data(), std::min(size_, size), larger.data());
    return larger;
  }

 private:
  struct Free {
    std::align_val_t alignment{kCacheLineBytes};
    std::shared_ptr<const void> owner = {};  // null where the memory is the buffer's own
    void operator()(T* p) const noexcept {
      if (!owner) ::operator delete(p, alignment);
    }
  };

  static std::unique_ptr<T, Free> allocate(std::size_t size) {
    const std::size_t bytes = std::max<std::size_t>(size * sizeof(T), 1);
    const auto alignment = std::align_val_t{bytes >= kHugePageBytes ? kHugePageBytes : kCacheLineBytes};
    void* p = ::operator new(bytes, alignment);
#if defined(__linux__)
    if (bytes >= kHugePageBytes) ::madvise(p, bytes, MADV_HUGEPAGE);  // advice only: a refusal costs speed
#endif
    return {static_cast<T*>(p), Free{alignment, {}}};
  }

  std::unique_ptr<T, Free> data_{nullptr, Free{}};
  std::size_t size_ = 0;
};

}  // namespace vdb
