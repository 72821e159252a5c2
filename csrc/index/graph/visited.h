// Which nodes one search has seen: a byte per node tagged with the search's epoch, so that nothing is cleared between
// searches until the 255 epochs are used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/prefetch.h"
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

  void prefetch(Slot slot) const noexcept { vdb::prefetch(tags_.data() + slot); }

 private:
  static constexpr std::uint8_t kLastEpoch = 255;

  std::vector<std::uint8_t> tags_;
  std::uint8_t epoch_ = 0;
};

}  // namespace vdb
