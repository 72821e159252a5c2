// The arrays of a range graph: a table of fixed rows per layer and the key of every slot. Layer l links rows that stand
// at most 4^l * 64 ranks apart, so that some layer fits every range: narrower ones are scanned sooner than walked.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "core/slot.h"
#include "index/graph/adjacency.h"

namespace vdb {

// Ranks on either side that the rows of a layer may link to.
inline constexpr std::size_t kNarrowest = 64;
constexpr std::size_t half_width(std::size_t layer) noexcept { return kNarrowest << (2 * layer); }
// Layers of a graph of 2^31 rows.
inline constexpr std::size_t kMaxLayers = 13;

// How many layers `rows` need: the widest reaches from the median to both ends.
constexpr std::size_t layers_for(std::size_t rows) noexcept {
  std::size_t layers = 1;
  while (2 * half_width(layers - 1) < rows) ++layers;
  return layers;
}
static_assert(layers_for(std::size_t{1} << 31) == kMaxLayers);

// The layer in which a walk through so many rows begins: the narrowest whose window is half as wide again, so that
// the edges of a row in the middle lead to both ends. On the real papers by date, windows from 1.5 to 6 times the range
// took fewer distances than any nearer to it.
constexpr std::size_t layer_for(std::size_t rows, std::size_t layers) noexcept {
  std::size_t layer = 0;
  while (layer + 1 < layers && 4 * half_width(layer) < 3 * rows) ++layer;
  return layer;
}

struct RangeLayers {
  RangeLayers(std::size_t slots, std::size_t layers, std::size_t M);
  // The same graph with room for more. A new layer begins as the widest before it, which reached everywhere.
  RangeLayers(const RangeLayers& smaller, std::size_t slots, std::size_t layers);
  // Of arrays that fit each other.
  RangeLayers(std::vector<AlignedBuffer<Slot>> rows_by_layer, AlignedBuffer<std::int64_t> slot_keys, std::size_t M);

  std::size_t slots() const noexcept { return keys.size(); }
  std::size_t count() const noexcept { return tables.size(); }
  std::size_t bytes() const noexcept;

  Adjacency edges(std::size_t layer) noexcept { return {tables[layer].data(), width}; }

  // The writer may give a row another key beside searches.
  std::int64_t key(Slot slot) noexcept {
    return std::atomic_ref<std::int64_t>(keys[slot]).load(std::memory_order_relaxed);
  }
  void set_key(Slot slot, std::int64_t key) noexcept {
    std::atomic_ref<std::int64_t>(keys[slot]).store(key, std::memory_order_relaxed);
  }

  std::vector<AlignedBuffer<Slot>> tables;  // (slots, width) each, the narrowest windows first
  AlignedBuffer<std::int64_t> keys;         // (slots,)
  std::size_t width;                        // edges of a row, M
};

}  // namespace vdb
