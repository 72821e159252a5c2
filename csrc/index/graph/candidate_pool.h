// The navigation list of a beam search: the nearest nodes seen so far in one sorted array, each marked once expanded.
// Up to some hundred entries, a binary search and a memmove beat two heaps.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "base/check.h"
#include "core/neighbor.h"

namespace vdb {

class CandidatePool {
 public:
  // What becomes of nodes that have no room.
  enum class Rest { kForgotten, kSetAside };

  // Empties the pool; it keeps the `capacity` nearest of what is inserted. What is set aside comes back with widen().
  void reset(std::size_t capacity, Rest rest = Rest::kForgotten) {
    if (entries_.size() < capacity) entries_.resize(capacity);
    capacity_ = capacity;
    size_ = 0;
    next_ = 0;
    bar_ = capacity == 0 ? 0 : kNoBar;
    rest_ = rest;
    aside_.clear();
  }

  // Makes room for `capacity` nodes, at least as many as before: the nearest of those set aside come in, each expanded
  // or not as it was.
  void widen(std::size_t capacity) {
    VDB_ASSERT(capacity >= capacity_ && rest_ == Rest::kSetAside);
    if (entries_.size() < capacity) entries_.resize(capacity);
    capacity_ = capacity;
    const auto room = static_cast<std::ptrdiff_t>(std::min(capacity - size_, aside_.size()));
    std::nth_element(aside_.begin(), aside_.begin() + room, aside_.end());
    std::copy_n(aside_.begin(), room, entries_.begin() + static_cast<std::ptrdiff_t>(size_));
    aside_.erase(aside_.begin(), aside_.begin() + room);
    size_ += static_cast<std::size_t>(room);
    std::sort(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(size_));
    next_ = 0;
    skip_expanded();
    bar_ = size_ == capacity_ ? entries_[size_ - 1] & kDistanceMask : kNoBar;
  }

  std::size_t size() const noexcept { return size_; }
  bool full() const noexcept { return size_ == capacity_; }
  Neighbor operator[](std::size_t i) const noexcept { return neighbor_of(entries_[i]); }

  // Whether insert() would keep a candidate at this distance: an infinite one too, while there is room.
  bool accepts(float distance) const noexcept { return entry_of({distance, 0}) < bar_; }

  // A finite distance is kept if it is below this.
  float bar() const noexcept {
    if (capacity_ == 0) return -std::numeric_limits<float>::infinity();
    return size_ < capacity_ ? std::numeric_limits<float>::infinity() : neighbor_of(bar_).distance;
  }

  // No slot may come twice.
  void insert(Neighbor candidate) { insert({&candidate.slot, 1}, &candidate.distance); }

  // Inserts slots[i] at distances[i], all at once: of the pool and what it accepts of them, the nearest are kept.
  void insert(std::span<const Slot> slots, const float* distances) {
    if (arrivals_.size() < slots.size()) {
      arrivals_.resize(slots.size());
      sorted_.resize(slots.size());
      positions_.resize(slots.size());
    }
    if (rest_ == Rest::kSetAside) set_aside(slots, distances);
    const std::size_t count = sort(admit(slots, distances));
    if (count > 0) merge(count);
  }

  // Whether a node is left to expand; peek() is the nearest such, pop() marks and returns it.
  bool has_next() const noexcept { return next_ < size_; }
  Neighbor peek() const noexcept { return (*this)[next_]; }
  Neighbor pop() noexcept {
    VDB_ASSERT(has_next());
    const Neighbor nearest = peek();
    entries_[next_] |= kExpanded;
    skip_expanded();
    return nearest;
  }

 private:
  // A candidate as one number whose order is that of Neighbor: the distance in the upper half, then the slot, and in
  // the lowest bit, where it decides nothing between different slots, whether the node was expanded.
  using Entry = std::uint64_t;
  static constexpr Entry kExpanded = 1;
  static constexpr unsigned kDistanceShift = 32;
  static constexpr Entry kDistanceMask = ~Entry{0} << kDistanceShift;
  static constexpr Entry kNoBar = ~Entry{0};
  static constexpr std::uint32_t kSign = 0x80000000U;

  // The bits of a float compare as its value does once the sign is flipped, and all bits of a negative one.
  static Entry entry_of(Neighbor candidate) noexcept {
    const auto bits = std::bit_cast<std::uint32_t>(candidate.distance + 0.0F);  // -0 and 0 are a tie
    const std::uint32_t flip = (0U - (bits >> 31)) | kSign;
    return Entry{bits ^ flip} << kDistanceShift | Entry{candidate.slot} << 1;
  }
  static Neighbor neighbor_of(Entry entry) noexcept {
    const auto ordered = static_cast<std::uint32_t>(entry >> kDistanceShift);
    const std::uint32_t flip = ((ordered >> 31) - 1U) | kSign;
    return {std::bit_cast<float>(ordered ^ flip), static_cast<Slot>(entry) >> 1};
  }

  void skip_expanded() noexcept {
    while (next_ < size_ && (entries_[next_] & kExpanded) != 0) ++next_;
  }

  // What admit() will not take.
  void set_aside(std::span<const Slot> slots, const float* distances) {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Entry entry = entry_of({distances[i], slots[i]});
      if (entry >= bar_) aside_.push_back(entry);
    }
  }

  // Most are too far once the pool is full, in no pattern a processor could learn: this leaves those below the bar in
  // arrivals_ without a branch, and returns how many.
  std::size_t admit(std::span<const Slot> slots, const float* distances) noexcept {
    Entry* const arrivals = arrivals_.data();
    const Entry bar = bar_;
    std::size_t count = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      const Entry entry = entry_of({distances[i], slots[i]});
      arrivals[count] = entry;
      count += entry < bar ? 1U : 0U;
    }
    return count;
  }

  // The first `count` arrivals in order in sorted_. The few there are after most hops are placed by counting those
  // below each, again without a branch.
  std::size_t sort(std::size_t count) noexcept {
    constexpr std::size_t kCounted = 32;
    const Entry* const arrivals = arrivals_.data();
    Entry* const sorted = sorted_.data();
    if (count > kCounted) {
      std::copy_n(arrivals, count, sorted);
      std::sort(sorted, sorted + count);
      return count;
    }
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t below = 0;
      for (std::size_t j = 0; j < count; ++j) below += arrivals[j] < arrivals[i] ? 1U : 0U;
      sorted[below] = arrivals[i];
    }
    return count;
  }

  // Where `entry` belongs: the comparison becomes a number, never a branch, as it goes either way equally often.
  std::size_t position_of(Entry entry) const noexcept {
    const Entry* base = entries_.data();
    for (std::size_t n = size_; n > 0;) {
      const std::size_t half = (n + 1) / 2;
      base += half & (std::size_t{0} - static_cast<std::size_t>(base[half - 1] < entry));
      n -= half;
    }
    return static_cast<std::size_t>(base - entries_.data());
  }

  // Merges the first `count` of sorted_ into the pool from behind: each entry of the pool moves once, however many
  // come. All positions are found first, as searches that do not wait for each other's moves.
  void merge(std::size_t count) {
    const std::size_t arrived = count;
    for (std::size_t i = 0; i < count; ++i) positions_[i] = position_of(sorted_[i]);
    while (count > 0 && positions_[count - 1] + count > capacity_) --count;
    Entry* const begin = entries_.data();
    std::size_t end = std::min(size_, capacity_ - count);
    if (rest_ == Rest::kSetAside) {
      aside_.insert(aside_.end(), sorted_.data() + count, sorted_.data() + arrived);
      aside_.insert(aside_.end(), begin + end, begin + size_);
    }
    if (count == 0) return;
    size_ = end + count;
    for (std::size_t i = count; i-- > 0;) {
      Entry* const from = begin + positions_[i];
      std::move_backward(from, begin + end, begin + end + i + 1);
      from[i] = sorted_[i];
      end = positions_[i];
    }
    next_ = std::min(next_, positions_[0]);
    if (size_ == capacity_) bar_ = begin[size_ - 1] & kDistanceMask;
  }

  std::vector<Entry> entries_;
  std::vector<Entry> arrivals_;  // what one call of insert() may keep, as it came
  std::vector<Entry> sorted_;    // and in order
  std::vector<std::size_t> positions_;
  std::vector<Entry> aside_;  // nodes that had no room, in no order
  Rest rest_ = Rest::kForgotten;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t next_ = 0;  // first entry not yet expanded
  Entry bar_ = 0;         // what a new entry must be below: strictly nearer than the last once the pool is full
};

}  // namespace vdb
