#include "index/hnsw/layers.h"

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

}  // namespace vdb
