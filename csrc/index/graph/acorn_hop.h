// The neighbourhood in which ACORN searches (Patel et al., SIGMOD 2024): nodes that pass, the two-hop neighbours behind
// the far end of a row among them, for an edge to those was left out when the row was compressed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/row_set.h"
#include "core/slot.h"
#include "index/graph/adjacency.h"
#include "index/graph/expansion.h"
#include "index/graph/fresh.h"
#include "index/graph/visited.h"

namespace vdb {

// Passing nodes below `limit`: the first `direct` entries of the row, then each later entry and its own row, until
// `bound` have been met. Those seen before count among them, as in the authors' code.
struct AcornHop {
  static constexpr bool kEstimates = false;
  static constexpr std::size_t kAhead = 1;

  Adjacency edges;
  const RowSet& rows;
  std::size_t limit;
  std::size_t direct;
  std::size_t bound;

  std::uint64_t tests = 0;

  std::size_t most() const noexcept { return bound; }
  HopCost spent() const noexcept { return {0, tests}; }

  template <class Distance>
  void operator()(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) noexcept {
    const std::size_t end = std::min({limit, visited.size(), rows.size()});
    Slot* const room = fresh.room();
    std::size_t met = 0;
    std::size_t size = 0;
    const auto meet = [&](Slot neighbor) {
      if (neighbor >= end) return true;
      ++tests;
      if (!rows.contains(neighbor)) return true;
      ++met;
      room[size] = neighbor;
      if (visited.mark(neighbor)) {
        if constexpr (Distance::kShortRows) distance.prefetch_row(neighbor);
        ++size;
      }
      return met < bound;
    };
    std::size_t position = 0;
    edges.for_each_while(node, 0, [&](Slot neighbor) {
      if (!meet(neighbor)) return false;
      if (position++ < direct || neighbor >= end) return true;
      edges.for_each_while(neighbor, 0, meet);
      return met < bound;
    });
    fresh.resize(size);
    visited.remember(fresh.slots());
  }

  void prefetch(Slot node) const noexcept { edges.prefetch(node); }
};

}  // namespace vdb
