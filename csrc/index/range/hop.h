// Which nodes one hop of a walk within a range brings: the neighbours inside it, layer by layer from the one that fits
// the range down, until they are enough (WoW: SIGMOD 2026).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/row_set.h"
#include "index/graph/fresh.h"
#include "index/graph/visited.h"
#include "index/range/layers.h"

namespace vdb {

// Inside is the range of keys itself.
struct InKeys {
  RangeLayers& layers;
  std::int64_t low;
  std::int64_t high;

  bool operator()(Slot slot) const noexcept {
    const std::int64_t key = layers.key(slot);
    return (low <= key) & (key <= high);
  }
};

// Inside is what a row set of the range allows: a bit where a key is eight bytes.
struct InRows {
  const RowSet& rows;

  bool operator()(Slot slot) const noexcept { return rows.contains(slot); }
};

template <class Inside>
struct RangeHop {
  static constexpr bool kEstimates = false;  // it brings slots, which are then measured
  static constexpr std::size_t kAhead = 1;   // nodes popped before the first of them is left behind

  RangeLayers& layers;
  Inside inside;
  std::size_t first;  // the layer a hop begins with
  std::size_t limit;  // nodes are below this, which is at least 1

  // Neighbours inside after which no further layer is read.
  std::size_t enough() const noexcept { return layers.width; }
  // Nodes that one call adds, at most.
  std::size_t most() const noexcept { return enough() - 1 + layers.width; }

  // Without a branch on what was seen or what is inside, as in OneHop: what is not to be seen counts as the one node
  // `end`, which is never new.
  template <class Distance>
  void operator()(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) const noexcept {
    const auto end = static_cast<Slot>(std::min(limit, visited.size()));
    visited.insert(end);
    Slot* const room = fresh.room();
    std::size_t size = 0;
    std::size_t passed = 0;
    for (std::size_t layer = first + 1; layer-- > 0;) {
      layers.edges(layer).for_each_entry(node, [&](Slot neighbor) {
        const bool passes = (neighbor < end) & inside(std::min<Slot>(neighbor, end - 1));
        const Slot slot = passes ? neighbor : end;
        if constexpr (Distance::kShortRows) distance.prefetch_row(slot);
        room[size] = slot;
        size += visited.mark(slot) ? 1U : 0U;
        passed += passes ? 1U : 0U;
      });
      if (passed >= enough()) break;
    }
    fresh.resize(size);
    visited.remember(fresh.slots());
  }

  void prefetch(Slot node) const noexcept {
    layers.edges(first).prefetch(node);
    if (first > 0) layers.edges(first - 1).prefetch(node);
  }
};

}  // namespace vdb
