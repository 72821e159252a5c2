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
#include "index/graph/filter.h"
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

// Measures scratch.fresh into the pool and, under a filter, into the allowed candidates.
template <class Distance, class Filter>
void score_fresh(const Distance& distance, const Filter& filter, Scratch& scratch) {
  Fresh& fresh = scratch.fresh;
  fresh.measure(distance);
  if constexpr (!Filter::kAll) {
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      const Neighbor candidate{fresh.distances()[i], fresh.slots()[i]};
      if (candidate.distance <= scratch.allowed.threshold() && filter(candidate.slot)) scratch.allowed.push(candidate);
    }
  }
  scratch.pool.insert(fresh.slots(), fresh.distances());
}

// The entries as the first fresh nodes, each once.
inline void enter(std::span<const Slot> entries, std::size_t most, Scratch& scratch) {
  scratch.fresh.reset(std::max(entries.size(), most));
  std::size_t size = 0;
  for (const Slot entry : entries) {
    if (scratch.visited.insert(entry)) scratch.fresh.room()[size++] = entry;
  }
  scratch.fresh.resize(size);
}

// Nodes that were popped and wait for their hop while what it reads is on its way.
template <std::size_t kRoom>
class Ahead {
 public:
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == kRoom; }
  void push(Slot slot) noexcept { slots_[(first_ + size_++) % kRoom] = slot; }
  Slot pop() noexcept {
    const Slot slot = slots_[first_];
    first_ = (first_ + 1) % kRoom;
    --size_;
    return slot;
  }

 private:
  std::array<Slot, kRoom> slots_{};
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

// Pops nodes until there is no room ahead, no node left, or none that can improve a full set of allowed candidates.
template <class Filter, class Distance, class Expansion, std::size_t kRoom>
void look_ahead(const Distance& distance, const Expansion& expansion, Scratch& scratch, Ahead<kRoom>& ahead) {
  while (!ahead.full() && scratch.pool.has_next()) {
    if constexpr (!Filter::kAll) {
      if (scratch.allowed.full() && scratch.pool.peek().distance > scratch.allowed.threshold()) return;
    }
    const Slot node = scratch.pool.pop().slot;
    if constexpr (Expansion::kEstimates) {
      expansion.prefetch(node);
      distance.prefetch_row(node);
    }
    ahead.push(node);
  }
}

// Puts what lies behind `node` into the pool. The distances that took.
template <class Distance, class Filter, class Expansion>
std::size_t hop(const Distance& distance, const Filter& filter, const Expansion& expansion, Slot node,
                Scratch& scratch) {
  Fresh& fresh = scratch.fresh;
  if constexpr (Expansion::kEstimates) {
    const Neighbor measured{distance(node), node};
    if (filter(node)) scratch.allowed.push(measured);
    expansion(measured, scratch.pool.bar(), scratch.visited, fresh);
    scratch.pool.insert(fresh.slots(), fresh.distances());
    return 1;
  } else {
    expansion(node, distance, scratch.visited, fresh);
    score_fresh(distance, filter, scratch);
    if (scratch.pool.has_next()) expansion.prefetch(scratch.pool.peek().slot);
    return fresh.size();
  }
}

}  // namespace detail

// Leaves the nearest nodes in beam.scratch.pool and, under a filter, the nearest allowed ones in beam.scratch.allowed.
// Under a filter it ends early once no node left to expand can improve a full set of allowed candidates. False where
// the budget ended it. Where the expansion estimates, nodes are measured when they are popped: the pool is in the order
// of estimates, and the nearest measured nodes that the filter allows are in beam.scratch.allowed under any filter.
template <class Distance, class Filter, class Expansion>
bool beam_search(const Distance& distance, const Filter& filter, const Expansion& expansion,
                 std::span<const Slot> entries, const Beam& beam) {
  const BeamLimits& limits = beam.limits;
  Scratch& scratch = beam.scratch;
  scratch.pool.reset(limits.pool);
  scratch.visited.reset(limits.nodes);
  if constexpr (!Filter::kAll || Expansion::kEstimates) scratch.allowed.reset(limits.ef);
  detail::enter(entries, expansion.most(), scratch);
  std::uint64_t distances = scratch.fresh.size();
  std::uint64_t hops = 0;
  bool finished = true;
  if constexpr (Expansion::kEstimates) {
    detail::score_fresh(distance, AllowAll{}, scratch);  // they are allowed or not when they are popped
  } else {
    detail::score_fresh(distance, filter, scratch);
  }
  detail::Ahead<Expansion::kAhead> ahead;
  for (;;) {
    detail::look_ahead<Filter>(distance, expansion, scratch, ahead);
    if (ahead.empty()) break;
    if (limits.budget != 0 && distances >= limits.budget) {
      finished = false;
      break;
    }
    if (++hops % detail::kPollHops == 0 && limits.cancel != nullptr && limits.cancel->poll()) throw Cancelled();
    distances += detail::hop(distance, filter, expansion, ahead.pop(), scratch);
  }
  beam.stats.distances += distances;
  beam.stats.hops += hops;
  return finished;
}

}  // namespace vdb
