// Where a block of packed neighbours keeps what: groups of 32 neighbours, each with its codes, factors and slots in one
// contiguous read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/prefetch.h"
#include "core/slot.h"
#include "simd/kernels.h"

namespace vdb {

struct PackedLayout {
  static constexpr std::size_t kGroup = PackedScanKernels::kRows;  // neighbours

  // `padded_dim` as Rotation pads.
  PackedLayout(std::size_t its_padded_dim, std::size_t degree) noexcept
      : padded_dim(its_padded_dim), groups((degree + kGroup - 1) / kGroup) {}

  std::size_t code_bytes() const noexcept { return padded_dim / 8 * kGroup; }
  std::size_t factor_bytes() const noexcept { return 2 * kGroup * sizeof(float); }
  // A multiple of cache lines, since padded_dim is one of 64.
  std::size_t group_bytes() const noexcept { return code_bytes() + factor_bytes() + kGroup * sizeof(Slot); }
  std::size_t block_bytes() const noexcept { return groups * group_bytes(); }

  // Of group `g`: byte b of neighbour i, with the signs of dimensions 8b to 8b + 7, at 32 * b + i.
  const std::uint8_t* codes(const std::uint8_t* block, std::size_t g) const noexcept {
    return block + g * group_bytes();
  }
  std::uint8_t* codes(std::uint8_t* block, std::size_t g) const noexcept { return block + g * group_bytes(); }
  // 32 addends, then 32 multipliers.
  const float* factors(const std::uint8_t* block, std::size_t g) const noexcept {
    return reinterpret_cast<const float*>(codes(block, g) + code_bytes());
  }
  float* factors(std::uint8_t* block, std::size_t g) const noexcept {
    return reinterpret_cast<float*>(codes(block, g) + code_bytes());
  }
  // 32 slots, kAbsentSlot behind the last.
  const Slot* slots(const std::uint8_t* block, std::size_t g) const noexcept {
    return reinterpret_cast<const Slot*>(codes(block, g) + code_bytes() + factor_bytes());
  }
  Slot* slots(std::uint8_t* block, std::size_t g) const noexcept {
    return reinterpret_cast<Slot*>(codes(block, g) + code_bytes() + factor_bytes());
  }

  std::size_t padded_dim;
  std::size_t groups;
};

}  // namespace vdb
