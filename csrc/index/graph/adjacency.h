// The edges of one level of a graph: fixed-width rows of slots, kAbsentSlot behind the last. Searches read rows while
// the one writer replaces them, so edges are atomics; a reader may see a mixture of two rows, each entry of it valid.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/prefetch.h"
#include "core/slot.h"

namespace vdb {

class Adjacency {
 public:
  // `row_of` maps a slot to its row, null where row and slot are the same; `offset` is added to the mapped row.
  Adjacency(Slot* edges, std::size_t width, const std::uint32_t* row_of = nullptr, std::size_t offset = 0) noexcept
      : edges_(edges), width_(width), stride_(width), row_of_(row_of), offset_(offset) {}

  // The first `width` entries of the same rows, to read: store() needs whole rows.
  Adjacency head(std::size_t width) const noexcept {
    Adjacency shorter = *this;
    shorter.width_ = std::min(width, width_);
    return shorter;
  }

  std::size_t width() const noexcept { return width_; }
  void prefetch(Slot slot) const noexcept { prefetch_lines(row(slot), lines_of(width_ * sizeof(Slot))); }

  // Calls visit(neighbor) for each edge of `slot`.
  template <class Visit>
  void for_each(Slot slot, Visit&& visit) const {
    Slot* const edges = row(slot);
    for (std::size_t i = 0; i < width_; ++i) {
      // Acquire: what the writer stored about a node before linking to it is visible to whoever follows the link.
      const Slot neighbor = std::atomic_ref<Slot>(edges[i]).load(std::memory_order_acquire);
      if (neighbor == kAbsentSlot) return;
      visit(neighbor);
    }
  }

  // Calls visit(neighbor) for the edges of `slot` from position `begin` on, until it returns false.
  template <class Visit>
  void for_each_while(Slot slot, std::size_t begin, Visit&& visit) const {
    Slot* const edges = row(slot);
    for (std::size_t i = begin; i < width_; ++i) {
      const Slot neighbor = std::atomic_ref<Slot>(edges[i]).load(std::memory_order_acquire);
      if (neighbor == kAbsentSlot || !visit(neighbor)) return;
    }
  }

  std::size_t degree(Slot slot) const noexcept {
    std::size_t count = 0;
    for_each(slot, [&](Slot) { ++count; });
    return count;
  }

  // Calls visit(entry) for each entry of the row, the empty ones, kAbsentSlot, with it: a loop whose length is known.
  // What the writer stored about a neighbour before linking to it is visible after the call, not yet in visit().
  template <class Visit>
  void for_each_entry(Slot slot, Visit&& visit) const {
    Slot* const edges = row(slot);
    for (std::size_t i = 0; i < width_; ++i) visit(std::atomic_ref<Slot>(edges[i]).load(kRowOrder));
    acquire_row();
  }

  // Whether the row holds nothing from position `begin` on.
  bool absent_from(Slot slot, std::size_t begin) const noexcept {
    Slot* const edges = row(slot);
    for (std::size_t i = begin; i < width_; ++i) {
      if (std::atomic_ref<Slot>(edges[i]).load(std::memory_order_relaxed) != kAbsentSlot) return false;
    }
    return true;
  }

  // Replaces the row of `slot`; at most width() neighbors.
  void store(Slot slot, std::span<const Slot> neighbors) const noexcept {
    Slot* const edges = row(slot);
    for (std::size_t i = 0; i < width_; ++i) {
      const Slot neighbor = i < neighbors.size() ? neighbors[i] : kAbsentSlot;
      std::atomic_ref<Slot>(edges[i]).store(neighbor, std::memory_order_release);
    }
  }

 private:
  // One fence behind relaxed loads pairs with the writer's release stores as an acquire of each load does, and lets the
  // loads overlap where an acquire is more than a plain load. The thread sanitizer knows no fences.
#if defined(__SANITIZE_THREAD__)
  static constexpr std::memory_order kRowOrder = std::memory_order_acquire;
  static void acquire_row() noexcept {}
#else
  static constexpr std::memory_order kRowOrder = std::memory_order_relaxed;
  static void acquire_row() noexcept { std::atomic_thread_fence(std::memory_order_acquire); }
#endif

  Slot* row(Slot slot) const noexcept {
    const std::size_t row = row_of_ == nullptr ? slot : row_of_[slot] + offset_;
    return edges_ + row * stride_;
  }

  Slot* edges_;
  std::size_t width_;
  std::size_t stride_;  // entries from one row to the next
  const std::uint32_t* row_of_;
  std::size_t offset_;
};

}  // namespace vdb
