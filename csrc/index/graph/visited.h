// Which nodes one search has seen: two bytes per node tagged with the search's epoch, so that nothing is cleared
// between searches until the 65,535 epochs are used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/slot.h"

namespace vdb {

class Visited {
 public:
  // Forgets everything; nodes below `size` may be marked.
  void reset(std::size_t size) {
    if (tags_.size() < size || epoch_ == kLastEpoch) {
      tags_.assign(std::max(size, tags_.size()), 0);
      epoch_ = 0;
    }
    ++epoch_;
  }

  // Marks the node; false where it was marked before.
  bool insert(Slot slot) noexcept {
    if (tags_[slot] == epoch_) return false;
    tags_[slot] = epoch_;
    return true;
  }

 private:
  static constexpr std::uint16_t kLastEpoch = 65'535;

  std::vector<std::uint16_t> tags_;
  std::uint16_t epoch_ = 0;
};

}  // namespace vdb
