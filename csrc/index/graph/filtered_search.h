// The searches under a filter that are more than one walk: by nodes that pass, over bridges where those fall apart, and
// without the filter, as wide as it takes until enough of what was found passes.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

#include "core/slot.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/search.h"

namespace vdb {

struct Entries {
  std::span<const Slot> allowed;
  Slot through;  // a node that is not and leads into the graph; kAbsentSlot: none
};

// An expansion that knows nodes to walk through where those that pass lead no further.
template <class Expansion, class Distance>
concept FindsBridges = requires(Expansion& expansion, const Distance& distance) {
  { expansion.bridge(distance) } -> std::same_as<Slot>;
};

// By an expansion that brings only nodes that pass: the nearest of those are in the pool. Where it finds bridges they
// are taken until the pool is full. False where the budget ended it.
template <class Distance, class Expansion>
bool search_passing(const Distance& distance, Expansion& expansion, const Entries& entries, const Beam& beam) {
  Walk<Distance, AllowAll, Expansion> walk(distance, AllowAll{}, expansion, beam);
  walk.enter(entries.allowed);
  if (entries.through != kAbsentSlot) walk.go_through(entries.through);
  while (walk.run()) {
    Slot bridge = kAbsentSlot;
    if constexpr (FindsBridges<Expansion, Distance>) {
      if (!beam.scratch.pool.full()) bridge = expansion.bridge(distance);
    }
    if (bridge == kAbsentSlot) break;
    walk.go_through(bridge);
  }
  return walk.finish();
}

// Walks without the filter, twice as wide each time, until the nearest nodes, which are in the pool, have limits.ef
// that the filter allows among them, or there are no others. False where the budget ended it.
template <class Distance>
bool search_then_filter(const Distance& distance, const AllowRows& filter, const OneHop& expansion, Slot entry,
                        const Beam& beam) {
  const CandidatePool& pool = beam.scratch.pool;
  Walk<Distance, AllowAll, const OneHop> walk(distance, AllowAll{}, expansion, beam);
  walk.enter({&entry, 1}, CandidatePool::Rest::kSetAside);
  BeamLimits limits = beam.limits;
  while (walk.run() && pool.full()) {
    std::size_t passing = 0;
    for (std::size_t i = 0; i < pool.size(); ++i) passing += filter(pool[i].slot) ? 1U : 0U;
    beam.stats.tests += pool.size();
    if (passing >= limits.ef) break;
    limits.pool *= 2;
    walk.go_on(limits);
  }
  return walk.finish();
}

}  // namespace vdb
