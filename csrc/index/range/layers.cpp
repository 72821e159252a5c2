#include "index/range/layers.h"

#include <algorithm>
#include <utility>

namespace vdb {

RangeLayers::RangeLayers(std::size_t slots, std::size_t layers, std::size_t M) : keys(slots, 0), width(M) {
  for (std::size_t layer = 0; layer < layers; ++layer) tables.emplace_back(slots * width, kAbsentSlot);
}

RangeLayers::RangeLayers(const RangeLayers& smaller, std::size_t slots, std::size_t layers)
    : keys(smaller.keys.grown(slots, 0)), width(smaller.width) {
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const std::size_t like = std::min(layer, smaller.count() - 1);
    tables.push_back(smaller.tables[like].grown(slots * width, kAbsentSlot));
  }
}

RangeLayers::RangeLayers(std::vector<AlignedBuffer<Slot>> rows_by_layer, AlignedBuffer<std::int64_t> slot_keys,
                         std::size_t M)
    : tables(std::move(rows_by_layer)), keys(std::move(slot_keys)), width(M) {}

std::size_t RangeLayers::bytes() const noexcept {
  std::size_t bytes = keys.bytes();
  for (const auto& table : tables) bytes += table.bytes();
  return bytes;
}

}  // namespace vdb
