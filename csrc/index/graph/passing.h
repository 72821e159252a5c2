// The rows of a graph as a filter sees them: which neighbours pass, and which of those are new.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/row_set.h"
#include "core/slot.h"
#include "index/graph/adjacency.h"
#include "index/graph/fresh.h"
#include "index/graph/visited.h"

namespace vdb {

class PassingEdges {
 public:
  // Of one row: neighbours below the limit, and those of them that pass, seen before or not.
  struct Count {
    std::size_t degree = 0;
    std::size_t passing = 0;
  };

  // `rows` cover the slots of the graph that may be seen, those below `limit`.
  PassingEdges(const Adjacency& edges, const RowSet& rows, std::size_t limit) noexcept
      : edges_(edges), rows_(rows), limit_(limit) {}

  std::size_t width() const noexcept { return edges_.width(); }
  void prefetch(Slot node) const noexcept { edges_.prefetch(node); }
  std::uint64_t tests() const noexcept { return tests_; }

  // Appends the neighbours of `node` that pass and were not seen before to `fresh`, which has room for a whole row, and
  // calls note(slot, counts, passes) for each entry of the row; counts is false for one that is no neighbour. No branch
  // depends on what passes or was seen, see OneHop.
  template <class Distance, class Note>
  Count gather(Slot node, const Distance& distance, Visited& visited, Fresh& fresh, Note&& note) noexcept {
    const auto end = static_cast<Slot>(std::min(limit_, visited.size()));
    visited.insert(end);  // stands for what is not to be brought, and is never new
    Slot* const room = fresh.room();
    const std::size_t before = fresh.size();
    std::size_t size = before;
    Count count;
    edges_.for_each_entry(node, [&](Slot neighbor) {
      const bool counts = neighbor < end;
      const Slot slot = counts ? neighbor : 0;
      const bool passes = counts & rows_.contains(slot);
      room[size] = slot;
      size += visited.mark(passes ? slot : end) ? 1U : 0U;
      note(slot, counts, passes);
      count.degree += counts ? 1U : 0U;
      count.passing += passes ? 1U : 0U;
    });
    fresh.resize(size);
    visited.remember(fresh.slots().subspan(before));
    if constexpr (Distance::kShortRows) {
      for (const Slot slot : fresh.slots().subspan(before)) distance.prefetch_row(slot);
    }
    tests_ += count.degree;
    return count;
  }
  template <class Distance>
  Count gather(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) noexcept {
    return gather(node, distance, visited, fresh, [](Slot, bool, bool) {});
  }

  // Calls visit(slot) for each of `slots` until it is false, the rows of the next few on their way.
  template <class Visit>
  void for_each_row(std::span<const Slot> slots, Visit&& visit) const {
    for (std::size_t i = 0; i < std::min(kRowsAhead, slots.size()); ++i) prefetch(slots[i]);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (i + kRowsAhead < slots.size()) prefetch(slots[i + kRowsAhead]);
      if (!visit(slots[i])) return;
    }
  }

 private:
  static constexpr std::size_t kRowsAhead = 6;

  Adjacency edges_;
  const RowSet& rows_;
  std::size_t limit_;
  std::uint64_t tests_ = 0;
};

}  // namespace vdb
