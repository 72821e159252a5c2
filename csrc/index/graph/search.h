// The one beam search of vdb (Malkov and Yashunin 2018, algorithm 2, over a single sorted pool): Distance says how far,
// Filter what may be returned, Expansion where to go next.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/cancel.h"
#include "base/error.h"
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

namespace detail {

inline constexpr std::uint64_t kPollHops = 64;
// Rows requested ahead of the kernel; one row of a few hundred dimensions is tens of lines, about what a core can have
// in flight.
inline constexpr std::size_t kRowsAhead = 2;

// Scores scratch.fresh into the pool and, under a filter, into the allowed candidates.
template <class Distance, class Filter>
void score_fresh(const Distance& distance, const Filter& filter, Scratch& scratch) {
  auto& fresh = scratch.fresh;
  const std::size_t n = fresh.size();
  const auto offer = [&](Slot slot, float d) {
    if constexpr (!Filter::kAll) {
      if (d <= scratch.allowed.threshold() && filter(slot)) scratch.allowed.push({d, slot});
    }
    if (d < scratch.pool.threshold()) scratch.pool.insert({d, slot});
  };
  for (std::size_t i = 0; i < std::min(n, 4 + kRowsAhead); ++i) distance.prefetch_row(fresh[i]);
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (std::size_t j = i + 4 + kRowsAhead; j < std::min(n, i + 8 + kRowsAhead); ++j) distance.prefetch_row(fresh[j]);
    std::array<float, 4> four;
    distance.x4(fresh.data() + i, four.data());
    for (std::size_t j = 0; j < 4; ++j) offer(fresh[i + j], four[j]);
  }
  for (; i < n; ++i) offer(fresh[i], distance(fresh[i]));
}

}  // namespace detail

// Leaves the nearest nodes in scratch.pool and, under a filter, the nearest allowed ones in scratch.allowed. Under a
// filter it ends early once no node left to expand can improve a full set of allowed candidates. False where the budget
// ended it.
template <class Distance, class Filter, class Expansion>
bool beam_search(const Distance& distance, const Filter& filter, const Expansion& expansion, const BeamLimits& limits,
                 std::span<const Slot> entries, Scratch& scratch, SearchStats& stats) {
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
  stats.distances += distances;
  stats.hops += hops;
  return finished;
}

// Greedy descent on one level: moves to the nearest neighbour while that is nearer (algorithm 2 with ef = 1).
template <class Distance>
Slot descend(const Distance& distance, const Adjacency& edges, std::size_t limit, Slot from, SearchStats& stats) {
  Neighbor nearest{distance(from), from};
  std::uint64_t distances = 1;
  for (bool moved = true; moved;) {
    moved = false;
    ++stats.hops;
    edges.for_each(nearest.slot, [&](Slot slot) {
      if (slot < limit) distance.prefetch_row(slot);
    });
    Neighbor best = nearest;
    edges.for_each(nearest.slot, [&](Slot slot) {
      if (slot >= limit) return;
      ++distances;
      best = std::min(best, Neighbor{distance(slot), slot});
    });
    moved = best.slot != nearest.slot;
    nearest = best;
  }
  stats.distances += distances;
  return nearest.slot;
}

}  // namespace vdb
