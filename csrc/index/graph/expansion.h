// Which nodes the popping of one node brings into play.
#pragma once

#include <cstddef>
#include <vector>

#include "core/slot.h"
#include "index/graph/adjacency.h"
#include "index/graph/visited.h"

namespace vdb {

// The direct neighbours not seen before, below `limit`: later nodes may belong to rows the caller cannot see yet.
struct OneHop {
  Adjacency edges;
  std::size_t limit;

  void operator()(Slot node, Visited& visited, std::vector<Slot>& fresh) const {
    fresh.clear();
    edges.for_each(node, [&](Slot neighbor) {
      if (neighbor < limit && visited.insert(neighbor)) fresh.push_back(neighbor);
    });
  }

  void prefetch(Slot node) const noexcept { edges.prefetch(node); }
};

}  // namespace vdb
