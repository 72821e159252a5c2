// Where a walk within a range begins: rows spread evenly over its ranks, for there is no hierarchy to come down by.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/slot.h"
#include "index/range/order.h"

namespace vdb {

// Rows looked at for each seed: of those that may serve one in so many is enough to find most seeds.
inline constexpr std::size_t kLookedAt = 32;

// Appends up to `count` slots of rows at `ranks` for which good(slot) to `seeds`, each within its own share of the
// ranks.
template <class Good>
void spread_seeds(const Order& order, const Ranks& ranks, std::size_t count, Good&& good, std::vector<Slot>& seeds) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t end = ranks.begin + (i + 1) * ranks.size() / count;
    // From the middle of the share on.
    const std::size_t begin = ranks.begin + (2 * i + 1) * ranks.size() / (2 * count);
    order.for_each({begin, std::min(end, begin + kLookedAt)}, [&](const Ranked& row) {
      if (!good(row.slot)) return true;
      seeds.push_back(row.slot);
      return false;
    });
  }
}

}  // namespace vdb
