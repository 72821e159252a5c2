// The one beam search of vdb (Malkov and Yashunin 2018, algorithm 2, over a single sorted pool): Distance says how far,
// Filter what may be returned, Expansion where to go next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/cancel.h"
#include "base/error.h"
#include "core/distance.h"
#include "core/neighbor.h"
#include "core/search_stats.h"
#include "index/graph/scratch.h"

namespace vdb {

struct BeamLimits {
  std::size_t ef;                 // allowed candidates kept
  std::size_t pool;               // nodes kept for navigation
  std::size_t nodes;              // slots are below this
  std::uint64_t budget = 0;       // distances after which the search stops; 0: none
  CancelToken* cancel = nullptr;  // polled every kPollHops hops
};

// What one search works with: its limits, its memory, and where its counts are added.
struct Beam {
  BeamLimits limits;
  Scratch& scratch;
  SearchStats& stats;
};

namespace detail {

inline constexpr std::uint64_t kPollHops = 64;

// Scores scratch.fresh into the pool and, under a filter, into the allowed candidates.
template <class Distance, class Filter>
void score_fresh(const Distance& distance, const Filter& filter, Scratch& scratch) {
  const auto offer = [&](Slot slot, float d) {
    if constexpr (!Filter::kAll) {
      if (d <= scratch.allowed.threshold() && filter(slot)) scratch.allowed.push({d, slot});
    }
    if (scratch.pool.accepts(d)) scratch.pool.insert({d, slot});
  };
  for_each_distance(distance, scratch.fresh, offer);
}

}  // namespace detail

// Leaves the nearest nodes in beam.scratch.pool and, under a filter, the nearest allowed ones in beam.scratch.allowed.
// Under a filter it ends early once no node left to expand can improve a full set of allowed candidates. False where
// the budget ended it.
template <class Distance, class Filter, class Expansion>
bool beam_search(const Distance& distance, const Filter& filter, const Expansion& expansion,
                 std::span<const Slot> entries, const Beam& beam) {
  const BeamLimits& limits = beam.limits;
  Scratch& scratch = beam.scratch;
  auto& pool = scratch.pool;
  pool.reset(limits.pool);
  scratch.visited.reset(limits.nodes);
  if constexpr (!Filter::kAll) scratch.allowed.reset(limits.ef);
  scratch.fresh.clear();
  for (const Slot entry : entries) {
    if (scratch.visited.insert(entry)) scratch.fresh.push_back(entry);
  }
  std::uint64_t distances = scratch.fresh.size();
  std::uint64_t hops = 0;
  bool finished = true;
  detail::score_fresh(distance, filter, scratch);
  while (pool.has_next()) {
    if constexpr (!Filter::kAll) {
      if (scratch.allowed.full() && pool.peek().distance > scratch.allowed.threshold()) break;
    }
    if (limits.budget != 0 && distances >= limits.budget) {
      finished = false;
      break;
    }
    if (++hops % detail::kPollHops == 0 && limits.cancel != nullptr && limits.cancel->poll()) throw Cancelled();
    const Neighbor node = pool.pop();
    expansion(node.slot, scratch.visited, scratch.fresh);
    distances += scratch.fresh.size();
    detail::score_fresh(distance, filter, scratch);
    if (pool.has_next()) expansion.prefetch(pool.peek().slot);
  }
  beam.stats.distances += distances;
  beam.stats.hops += hops;
  return finished;
}

}  // namespace vdb
