// Nodes that do not pass the filter, for when a filtered walk has no other way on. They wait unmeasured, for most walks
// need none; then the nearest is taken first, and there is an end to it (RACORN-1, 2026, admits them likewise).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/neighbor.h"
#include "index/graph/candidate_pool.h"
#include "index/graph/fresh.h"

namespace vdb {

class Bridges {
 public:
  // Empties it; at most `most` bridges will be taken, and as many wait. At least 2.
  void reset(std::size_t most) {
    waiting_.reset(most);
    queue_.reset(most);
    most_ = most;
    left_ = most;
    noted_ = 0;
    stride_ = 1;
  }

  // No node may come twice. Where too many come they are a sample: every so manieth of all that came.
  void note(Slot slot) noexcept {
    if ((noted_++ & (stride_ - 1)) != 0) return;
    if (waiting_.size() == most_) thin_out();
    waiting_.room()[waiting_.size()] = slot;
    waiting_.resize(waiting_.size() + 1);
  }

  // The nearest node that waits, kAbsentSlot where there is none. Adds the distances that took to `measured`.
  template <class Distance>
  Slot next(const Distance& distance, std::uint64_t& measured) {
    if (left_ == 0) return kAbsentSlot;
    if (waiting_.size() > 0) {
      waiting_.measure(distance);
      measured += waiting_.size();
      queue_.insert(waiting_.slots(), waiting_.distances());
      waiting_.resize(0);
      noted_ = 0;
      stride_ = 1;
    }
    if (!queue_.has_next()) return kAbsentSlot;
    --left_;
    return queue_.pop().slot;
  }

 private:
  void thin_out() noexcept {
    const std::size_t kept = most_ / 2;
    for (std::size_t i = 0; i < kept; ++i) waiting_.room()[i] = waiting_.room()[2 * i];
    waiting_.resize(kept);
    stride_ *= 2;
  }

  Fresh waiting_;
  CandidatePool queue_;
  std::size_t most_ = 0;
  std::size_t left_ = 0;
  std::size_t noted_ = 0;
  std::size_t stride_ = 1;  // a power of two
};

// The memory of the expansions that look around a node.
struct Surroundings {
  Fresh around;                 // neighbours that may lead to nodes that pass
  std::vector<Neighbor> order;  // the same, measured, nearest first
  Bridges bridges;
};

}  // namespace vdb
