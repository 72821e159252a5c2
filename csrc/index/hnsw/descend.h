// The way down the upper levels (Malkov and Yashunin 2018, algorithm 5, the loop of ef = 1).
#pragma once

#include <cstddef>

#include "core/neighbor.h"
#include "index/graph/expansion.h"
#include "index/graph/search.h"
#include "index/hnsw/layers.h"

namespace vdb {

struct Descent {
  Slot from;
  std::size_t from_level;
  std::size_t to_level;  // not searched itself
  std::size_t limit;     // slots are below this
};

// The node to start from on `to_level`. With room for one node the beam search is this: go to the nearest neighbour
// while it is nearer. It needs no pool, and forgets nothing between levels: a node seen above was no nearer than the
// node the way stood on then, so it is not worth measuring again.
template <class Distance>
Slot descend(const Distance& distance, Layers& layers, std::size_t M, const Descent& way, const Beam& beam) {
  if (way.from_level <= way.to_level) return way.from;
  Scratch& scratch = beam.scratch;
  Fresh& fresh = scratch.fresh;
  scratch.visited.reset(beam.limits.nodes);
  scratch.visited.insert(way.from);
  fresh.reset(M);
  Neighbor nearest{distance(way.from), way.from};
  ++beam.stats.distances;
  for (std::size_t level = way.from_level; level > way.to_level; --level) {
    const OneHop expansion{layers.edges(level, M), way.limit};
    for (Slot from = kAbsentSlot; from != nearest.slot;) {
      from = nearest.slot;
      expansion(from, distance, scratch.visited, fresh);
      fresh.measure(distance);
      for (std::size_t i = 0; i < fresh.size(); ++i) {
        if (fresh.distances()[i] < nearest.distance) nearest = {fresh.distances()[i], fresh.slots()[i]};
      }
      beam.stats.distances += fresh.size();
      ++beam.stats.hops;
    }
  }
  return nearest.slot;
}

}  // namespace vdb
