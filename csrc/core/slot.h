// A slot is the position of a row in its table's vector files: dense, table-wide, never a row id.
#pragma once

#include <cstdint>

namespace vdb {

using Slot = std::uint32_t;

// Marks an empty edge and pads short results.
inline constexpr Slot kAbsentSlot = 0xffffffffU;

// The candidate pool shifts a slot by one bit, to keep a mark in the lowest.
inline constexpr std::uint64_t kMaxSlots = (std::uint64_t{1} << 31) - 1;

}  // namespace vdb
