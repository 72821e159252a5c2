// From intervals to the exact nearest: every row whose interval may reach among the k nearest is kept while codes are
// scanned, and only those are then read and measured, the most promising first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "core/distance.h"
#include "core/neighbor.h"
#include "core/top_k.h"

namespace vdb {

class BoundedCandidates {
 public:
  // Empties it and keeps its memory.
  void reset(std::size_t k) {
    uppers_.reset(k);
    lowers_.clear();
    compact_at_ = kCompactAt;
    threshold_ = uppers_.threshold();
  }

  // What a lower bound must not exceed: the k-th smallest upper bound so far.
  float threshold() const noexcept { return threshold_; }

  // An interval that overflowed, NaN among its bounds, may hold anything and is kept.
  void offer(Slot slot, float lower, float upper) {
    if (lower > threshold_) return;
    if (upper <= threshold_) {
      uppers_.push({upper, slot});
      threshold_ = uppers_.threshold();
    }
    lowers_.push_back({lower == lower ? lower : -std::numeric_limits<float>::infinity(), slot});
    if (lowers_.size() >= compact_at_) compact();
  }

  // The rows left, the smallest lower bound first, in another unit: one of it is `unit` of what was offered.
  std::span<const Neighbor> sorted(float unit = 1) {
    drop_beaten();
    if (unit != 1) {
      for (Neighbor& candidate : lowers_) candidate.distance *= unit;
    }
    std::sort(lowers_.begin(), lowers_.end());
    return lowers_;
  }

 private:
  static constexpr std::size_t kCompactAt = 1024;

  void drop_beaten() {
    std::erase_if(lowers_, [&](const Neighbor& candidate) { return candidate.distance > threshold_; });
  }

  void compact() {
    drop_beaten();
    compact_at_ = std::max(kCompactAt, 2 * lowers_.size());
  }

  TopK uppers_;
  std::vector<Neighbor> lowers_;
  std::size_t compact_at_ = kCompactAt;
  float threshold_ = 0;
};

// Measures `candidates` (ascending lower bounds) into `nearest` until none left can enter it; returns how many it
// measured. Four at a time, so that their cache misses overlap. Cancelled where `cancel`, which may be null, fired.
template <class Distance>
std::size_t rerank(const Distance& distance, std::span<const Neighbor> candidates, TopK& nearest, CancelToken* cancel) {
  constexpr std::size_t kStep = 4;
  constexpr std::size_t kPollRows = 1024;  // a multiple of kStep
  std::size_t measured = 0;
  while (measured < candidates.size() && candidates[measured].distance <= nearest.threshold()) {
    if (measured % kPollRows == 0 && cancel != nullptr && cancel->poll()) throw Cancelled();
    std::array<Slot, kStep> slots;
    const std::size_t n = std::min(kStep, candidates.size() - measured);
    for (std::size_t i = 0; i < n; ++i) slots[i] = candidates[measured + i].slot;
    for (std::size_t i = measured + n; i < std::min(measured + n + kStep, candidates.size()); ++i) {
      distance.prefetch_row(candidates[i].slot);
    }
    for_each_distance(distance, std::span<const Slot>(slots.data(), n), [&](Slot slot, float exact) {
      if (exact <= nearest.threshold()) nearest.push({exact, slot});
    });
    measured += n;
  }
  return measured;
}

}  // namespace vdb
