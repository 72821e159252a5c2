// A slot and how far it is from the query, under the one total order of the engine: distance, then slot.
#pragma once

#include "core/slot.h"

namespace vdb {

struct Neighbor {
  float distance;
  Slot slot;

  friend bool operator<(const Neighbor& a, const Neighbor& b) noexcept {
    return a.distance < b.distance || (a.distance == b.distance && a.slot < b.slot);
  }
  friend bool operator==(const Neighbor&, const Neighbor&) = default;
};

}  // namespace vdb
