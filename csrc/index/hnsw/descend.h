// The way down the upper levels (Malkov and Yashunin 2018, algorithm 5, the loop of ef = 1): the one beam search with
// room for one node, level by level.
#pragma once

#include <cstddef>

#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/search.h"
#include "index/hnsw/layers.h"

namespace vdb {

struct Descent {
  Slot from;
  std::size_t from_level;
  std::size_t to_level;  // not searched itself
  std::size_t limit;     // slots are below this
};

// The node to start from on `to_level`.
template <class Distance>
Slot descend(const Distance& distance, Layers& layers, std::size_t M, const Descent& way, const Beam& beam) {
  const Beam narrow{{1, 1, beam.limits.nodes, 0, beam.limits.cancel}, beam.scratch, beam.stats};
  Slot start = way.from;
  for (std::size_t level = way.from_level; level > way.to_level; --level) {
    beam_search(distance, AllowAll{}, OneHop{layers.edges(level, M), way.limit}, {&start, 1}, narrow);
    start = beam.scratch.pool[0].slot;
  }
  return start;
}

}  // namespace vdb
