// The navigation list of a beam search: the nearest nodes seen so far in one sorted array, each marked once expanded.
// Up to some hundred entries, a binary search and a memmove beat two heaps.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/check.h"
#include "core/neighbor.h"

namespace vdb {

class CandidatePool {
 public:
  // Empties the pool; it keeps the `capacity` nearest of what is inserted.
  void reset(std::size_t capacity) {
    if (entries_.size() < capacity) entries_.resize(capacity);
    capacity_ = capacity;
    size_ = 0;
    next_ = 0;
  }

  std::size_t size() const noexcept { return size_; }
  Neighbor operator[](std::size_t i) const noexcept { return {entries_[i].distance, entries_[i].slot & kSlotMask}; }

  // Whether insert() would keep a candidate at this distance: an infinite one too, while there is room.
  bool accepts(float distance) const noexcept { return size_ < capacity_ || distance < entries_[size_ - 1].distance; }

  void insert(Neighbor candidate) noexcept {
    if (!accepts(candidate.distance)) return;
    Entry* const begin = entries_.data();
    Entry* const end = begin + size_;
    Entry* const at = std::upper_bound(begin, end, candidate, [](const Neighbor& a, const Entry& b) {
      return a < Neighbor{b.distance, b.slot & kSlotMask};
    });
    if (size_ < capacity_) ++size_;
    std::move_backward(at, begin + size_ - 1, begin + size_);
    *at = {candidate.distance, candidate.slot};
    next_ = std::min(next_, static_cast<std::size_t>(at - begin));
  }

  // Whether a node is left to expand; peek() is the nearest such, pop() marks and returns it.
  bool has_next() const noexcept { return next_ < size_; }
  Neighbor peek() const noexcept { return (*this)[next_]; }
  Neighbor pop() noexcept {
    VDB_ASSERT(has_next());
    const Neighbor nearest = peek();
    entries_[next_].slot |= kExpanded;
    while (next_ < size_ && (entries_[next_].slot & kExpanded) != 0) ++next_;
    return nearest;
  }

 private:
  static constexpr Slot kExpanded = 0x80000000U;
  static constexpr Slot kSlotMask = ~kExpanded;

  struct Entry {
    float distance;
    Slot slot;  // with kExpanded once expanded
  };

  std::vector<Entry> entries_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t next_ = 0;  // first entry not yet expanded
};

}  // namespace vdb
