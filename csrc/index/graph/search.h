// The one beam search of vdb (Malkov and Yashunin 2018, algorithm 2, over a single sorted pool): Distance says how far,
// Filter what may be returned, Expansion where to go next.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "base/cancel.h"
#include "base/error.h"
#include "core/neighbor.h"
#include "core/search_stats.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/scratch.h"

namespace vdb {

struct BeamLimits {
  std::size_t ef;                 // allowed candidates kept
  std::size_t pool;               // nodes kept for navigation
  std::size_t nodes;              // slots are below this
  std::uint64_t budget = 0;       // steps after which the search stops; 0: none
  CancelToken* cancel = nullptr;  // polled every kPollHops hops
};

// What one search works with: its limits, its memory, and where its counts are added.
struct Beam {
  BeamLimits limits;
  Scratch& scratch;
  SearchStats& stats;
};

// A step of a budget is a distance, or so many slots looked up in a row set: each is a share of a row of edges that is
// read and a bit that is tested, some 2 ns where an estimate from a code takes 30.
inline constexpr std::uint64_t kTestsPerStep = 16;

// What an expansion measured and tested itself, where it does.
template <class Expansion>
concept SpendsItself = requires(const Expansion& expansion) {
  { expansion.spent() } -> std::same_as<HopCost>;
};

namespace detail {

inline constexpr std::uint64_t kPollHops = 64;

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

}  // namespace detail

// One search of a graph, a hop at a time: gather() chooses a node and lists what it leads to, score() measures that.
// Once gather() is false the nearest nodes are in scratch.pool and, under a filter, the nearest allowed ones in
// scratch.allowed. Under a filter it ends early once no node left to expand can improve a full set of allowed
// candidates. Where the expansion estimates, nodes are measured when they are popped: the pool is in the order of
// estimates, and the nearest measured nodes that the filter allows are in scratch.allowed under any filter.
//
// A walk that has ended may go on: through a node it did not find, or with other limits. All it knows but the nodes
// ahead and its counts is in the scratch.
template <class Distance, class Filter, class Expansion>
class Walk {
 public:
  // Distance, expansion and what the beam refers to must outlive it.
  Walk(const Distance& distance, const Filter& filter, Expansion& expansion, const Beam& beam) noexcept
      : distance_(distance), filter_(filter), expansion_(expansion), beam_(beam) {}

  // Begins anew, from nodes that may come twice.
  void enter(std::span<const Slot> entries, CandidatePool::Rest rest = CandidatePool::Rest::kForgotten) {
    Scratch& scratch = beam_.scratch;
    scratch.pool.reset(beam_.limits.pool, rest);
    scratch.visited.reset(beam_.limits.nodes);
    if constexpr (!Filter::kAll || Expansion::kEstimates) scratch.allowed.reset(beam_.limits.ef);
    Fresh& fresh = scratch.fresh;
    fresh.reset(std::max(entries.size(), expansion_.most()));
    std::size_t size = 0;
    for (const Slot entry : entries) {
      if (scratch.visited.insert(entry)) fresh.room()[size++] = entry;
    }
    fresh.resize(size);
    if constexpr (Expansion::kEstimates) {
      measure(AllowAll{});  // they are allowed or not when they are popped
    } else {
      measure(filter_);
    }
  }

  // False where the search has ended; within_budget() tells why.
  bool gather() {
    look_ahead();
    if (ahead_.empty()) return false;
    const BeamLimits& limits = beam_.limits;
    within_budget_ = limits.budget == 0 || steps() < limits.budget;
    if (!within_budget_) return false;
    if (++hops_ % detail::kPollHops == 0 && limits.cancel != nullptr && limits.cancel->poll()) throw Cancelled();
    if constexpr (!Expansion::kEstimates) {
      expansion_(ahead_.pop(), distance_, beam_.scratch.visited, beam_.scratch.fresh);
    }
    return true;
  }

  void score() {
    Scratch& scratch = beam_.scratch;
    if constexpr (Expansion::kEstimates) {
      const Slot node = ahead_.pop();
      const Neighbor measured{distance_(node), node};
      ++distances_;
      if (allows(filter_, node)) scratch.allowed.push(measured);
      expansion_(measured, scratch.pool.bar(), scratch.visited, scratch.fresh);
      scratch.pool.insert(scratch.fresh.slots(), scratch.fresh.distances());
    } else {
      measure(filter_);
      if (scratch.pool.has_next()) expansion_.prefetch(scratch.pool.peek().slot);
    }
  }

  // Takes hops to the end. False where the budget ended them.
  bool run() {
    while (gather()) score();
    return within_budget_;
  }

  // Whether the last gather() ended for another reason than the budget.
  bool within_budget() const noexcept { return within_budget_; }

  // The next hop is that of `node`, wherever it comes from. Of a walk that has ended within its budget.
  void go_through(Slot node) {
    VDB_ASSERT(ahead_.empty());
    beam_.scratch.visited.insert(node);
    ahead_.push(node);
  }

  // Goes on with another budget or a wider pool, which must have been entered with kSetAside.
  void go_on(const BeamLimits& limits) {
    if (limits.pool > beam_.limits.pool) beam_.scratch.pool.widen(limits.pool);
    beam_.limits = limits;
  }

  // Adds its counts to the stats of the beam; once. False where the budget ended it.
  bool finish() noexcept {
    const HopCost own = spent();
    beam_.stats.distances += distances_ + own.distances;
    beam_.stats.hops += hops_;
    beam_.stats.tests += tests_ + own.tests;
    return within_budget_;
  }

 private:
  HopCost spent() const noexcept {
    if constexpr (SpendsItself<Expansion>) {
      return expansion_.spent();
    } else {
      return {};
    }
  }
  std::uint64_t steps() const noexcept {
    const HopCost own = spent();
    return distances_ + own.distances + (tests_ + own.tests) / kTestsPerStep;
  }

  template <class Which>
  bool allows(const Which& filter, Slot slot) noexcept {
    if constexpr (Which::kAll) {
      return true;
    } else {
      ++tests_;
      return filter(slot);
    }
  }

  // Measures scratch.fresh into the pool and, under a filter, into the allowed candidates.
  template <class Which>
  void measure(const Which& filter) {
    Scratch& scratch = beam_.scratch;
    Fresh& fresh = scratch.fresh;
    fresh.measure(distance_);
    distances_ += fresh.size();
    if constexpr (!Which::kAll) {
      for (std::size_t i = 0; i < fresh.size(); ++i) {
        const Neighbor candidate{fresh.distances()[i], fresh.slots()[i]};
        if (candidate.distance <= scratch.allowed.threshold() && allows(filter, candidate.slot)) {
          scratch.allowed.push(candidate);
        }
      }
    }
    scratch.pool.insert(fresh.slots(), fresh.distances());
  }

  // Pops nodes until there is no room ahead, no node left, or none that can improve a full set of allowed candidates.
  void look_ahead() {
    Scratch& scratch = beam_.scratch;
    while (!ahead_.full() && scratch.pool.has_next()) {
      if constexpr (!Filter::kAll) {
        if (scratch.allowed.full() && scratch.pool.peek().distance > scratch.allowed.threshold()) return;
      }
      const Slot node = scratch.pool.pop().slot;
      if constexpr (Expansion::kEstimates) {
        expansion_.prefetch(node);
        distance_.prefetch_row(node);
      }
      ahead_.push(node);
    }
  }

  const Distance& distance_;
  const Filter filter_;
  Expansion& expansion_;
  Beam beam_;
  detail::Ahead<Expansion::kAhead> ahead_;
  std::uint64_t distances_ = 0;
  std::uint64_t hops_ = 0;
  std::uint64_t tests_ = 0;
  bool within_budget_ = true;
};

// A walk from beginning to end. False where the budget ended it.
template <class Distance, class Filter, class Expansion>
bool beam_search(const Distance& distance, const Filter& filter, Expansion&& expansion, std::span<const Slot> entries,
                 const Beam& beam) {
  Walk<Distance, Filter, std::remove_reference_t<Expansion>> walk(distance, filter, expansion, beam);
  walk.enter(entries);
  walk.run();
  return walk.finish();
}

}  // namespace vdb
