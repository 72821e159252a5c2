// The way down the upper levels (Malkov and Yashunin 2018, algorithm 5, the loop of ef = 1).
#pragma once

#include <cstddef>
#include <limits>

#include "core/neighbor.h"
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

// The node to start from on `to_level`. With room for one node the beam search is this: go to the nearest neighbour
// while it is nearer. It needs no pool, and forgets nothing between levels: a node seen above was no nearer than the
// node the way stood on then, so it is not worth measuring again. `expansion_at(level)` brings nodes that the filter
// allows; a way that begins on another one leaves it for whichever of them it meets first.
template <class Distance, class Filter, class ExpansionAt>
Slot descend(const Distance& distance, const Filter& filter, const ExpansionAt& expansion_at, const Descent& way,
             const Beam& beam) {
  if (way.from_level <= way.to_level) return way.from;
  Scratch& scratch = beam.scratch;
  Fresh& fresh = scratch.fresh;
  scratch.visited.reset(beam.limits.nodes);
  scratch.visited.insert(way.from);
  Neighbor nearest{std::numeric_limits<float>::infinity(), way.from};
  if (filter(way.from)) {
    nearest.distance = distance(way.from);
    ++beam.stats.distances;
  }
  for (std::size_t level = way.from_level; level > way.to_level; --level) {
    auto expansion = expansion_at(level);
    fresh.reset(expansion.most());
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
    if constexpr (SpendsItself<decltype(expansion)>) beam.stats.tests += expansion.spent().tests;
  }
  return nearest.slot;
}

// The same without a filter.
template <class Distance>
Slot descend(const Distance& distance, Layers& layers, const Descent& way, const Beam& beam) {
  const auto expansion_at = [&](std::size_t level) { return OneHop{layers.walked(level), way.limit}; };
  return descend(distance, AllowAll{}, expansion_at, way, beam);
}

}  // namespace vdb
