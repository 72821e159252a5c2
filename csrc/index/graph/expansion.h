// Which nodes the popping of one node brings into play.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/slot.h"
#include "index/graph/adjacency.h"
#include "index/graph/fresh.h"
#include "index/graph/visited.h"

namespace vdb {

// What an expansion measured and looked up itself, for those that do more than bring slots: their `spent()`.
struct HopCost {
  std::uint64_t distances = 0;
  std::uint64_t tests = 0;
};

// The direct neighbours not seen before, below `limit`: later nodes may belong to rows the caller cannot see yet.
struct OneHop {
  static constexpr bool kEstimates = false;  // it brings slots, which are then measured
  static constexpr std::size_t kAhead = 1;   // nodes popped before the first of them is left behind

  Adjacency edges;
  std::size_t limit;

  // Nodes that one call adds, at most.
  std::size_t most() const noexcept { return edges.width(); }

  // No branch depends on what was seen: two of five edges lead to nodes seen before, in no pattern a processor could
  // learn. So every neighbour is written, and the next one over it unless it was new. What is not to be seen, the empty
  // edges with it, counts as the one node `end`, which is never new.
  template <class Distance>
  void operator()(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) const noexcept {
    const auto end = static_cast<Slot>(std::min(limit, visited.size()));
    visited.insert(end);
    Slot* const room = fresh.room();
    std::size_t size = 0;
    edges.for_each_entry(node, [&](Slot neighbor) {
      const Slot slot = std::min(neighbor, end);
      if constexpr (Distance::kShortRows) distance.prefetch_row(slot);
      room[size] = slot;
      size += visited.mark(slot) ? 1U : 0U;
    });
    fresh.resize(size);
    visited.remember(fresh.slots());
  }

  void prefetch(Slot node) const noexcept { edges.prefetch(node); }
};

}  // namespace vdb
