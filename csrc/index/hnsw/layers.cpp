#include "index/hnsw/layers.h"

#include <utility>

namespace vdb {

Layers::Layers(std::size_t slots, std::size_t upper_rows, std::size_t M)
    : base(slots * 2 * M, kAbsentSlot),
      upper(upper_rows * M, kAbsentSlot),
      levels(slots, kNoLevel),
      upper_begin(slots, 0) {}

Layers::Layers(const Layers& smaller, std::size_t slots, std::size_t upper_rows, std::size_t M)
    : base(smaller.base.grown(slots * 2 * M, kAbsentSlot)),
      upper(smaller.upper.grown(upper_rows * M, kAbsentSlot)),
      levels(smaller.levels.grown(slots, kNoLevel)),
      upper_begin(smaller.upper_begin.grown(slots, 0)) {}

Layers::Layers(AlignedBuffer<Slot> base_rows, AlignedBuffer<Slot> upper_rows, AlignedBuffer<std::uint8_t> top_levels)
    : base(std::move(base_rows)),
      upper(std::move(upper_rows)),
      levels(std::move(top_levels)),
      upper_begin(levels.size(), 0) {
  std::uint32_t begin = 0;
  for (std::size_t slot = 0; slot < levels.size(); ++slot) {
    upper_begin[slot] = begin;
    if (levels[slot] != kNoLevel) begin += levels[slot];
  }
}

std::vector<Slot> Layers::upper_in_slot_order(std::size_t slots, std::size_t M) const {
  std::vector<Slot> rows;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    if (levels[slot] == kNoLevel) continue;
    const Slot* const begin = upper.data() + std::size_t{upper_begin[slot]} * M;
    rows.insert(rows.end(), begin, begin + levels[slot] * M);
  }
  return rows;
}

}  // namespace vdb
