#include "index/hnsw/layers.h"

#include <utility>

namespace vdb {

Layers::Layers(std::size_t slots, std::size_t upper_rows, const EdgeWidths& its_widths)
    : widths(its_widths),
      base(slots * widths.base, kAbsentSlot),
      upper(upper_rows * widths.upper, kAbsentSlot),
      levels(slots, kNoLevel),
      upper_begin(slots, 0) {}

Layers::Layers(const Layers& smaller, std::size_t slots, std::size_t upper_rows)
    : widths(smaller.widths),
      base(smaller.base.grown(slots * widths.base, kAbsentSlot)),
      upper(smaller.upper.grown(upper_rows * widths.upper, kAbsentSlot)),
      levels(smaller.levels.grown(slots, kNoLevel)),
      upper_begin(smaller.upper_begin.grown(slots, 0)) {}

Layers::Layers(AlignedBuffer<Slot> base_rows, AlignedBuffer<Slot> upper_rows, AlignedBuffer<std::uint8_t> top_levels,
               const EdgeWidths& its_widths)
    : widths(its_widths),
      base(std::move(base_rows)),
      upper(std::move(upper_rows)),
      levels(std::move(top_levels)),
      upper_begin(levels.size(), 0) {
  std::uint32_t begin = 0;
  for (std::size_t slot = 0; slot < levels.size(); ++slot) {
    upper_begin[slot] = begin;
    if (levels[slot] != kNoLevel) begin += levels[slot];
  }
}

std::vector<Slot> Layers::upper_in_slot_order(std::size_t slots) const {
  std::vector<Slot> rows;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    if (levels[slot] == kNoLevel) continue;
    const Slot* const begin = upper.data() + std::size_t{upper_begin[slot]} * widths.upper;
    rows.insert(rows.end(), begin, begin + levels[slot] * widths.upper);
  }
  return rows;
}

}  // namespace vdb
