// The k nearest of a stream, as a bounded max-heap. Distances must not be NaN (core/distance.h sees to it).
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "core/neighbor.h"

namespace vdb {

class TopK {
 public:
  // Empties the heap and keeps its memory.
  void reset(std::size_t k) {
    k_ = k;
    heap_.clear();
    heap_.reserve(std::min<std::size_t>(k, kReserve));
  }

  bool full() const noexcept { return heap_.size() >= k_; }
  std::size_t size() const noexcept { return heap_.size(); }

  // What a candidate must beat: the worst kept distance once full, +inf before.
  float threshold() const noexcept {
    return full() && k_ > 0 ? heap_.front().distance : std::numeric_limits<float>::infinity();
  }

  void push(Neighbor candidate) {
    if (!full()) {
      heap_.push_back(candidate);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (k_ > 0 && candidate < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = candidate;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  // Nearest first; the heap must be reset before the next push.
  std::span<const Neighbor> sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return heap_;
  }

 private:
  // A huge k must not allocate for rows that do not exist.
  static constexpr std::size_t kReserve = 4096;

  std::size_t k_ = 0;
  std::vector<Neighbor> heap_;
};

}  // namespace vdb
