// Which candidates become edges: the heuristic of Malkov and Yashunin 2018, algorithm 4. A candidate is kept unless a
// kept one is nearer to it than the node is, so edges spread in all directions.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "core/neighbor.h"
#include "core/vectors.h"

namespace vdb {

namespace detail {

// Whether some kept row is nearer to `candidate` than `candidate` is to the node.
template <class Distance>
bool occluded(const VectorView& view, const Neighbor& candidate, std::span<const Neighbor> kept) noexcept {
  const Distance distance(view, candidate.slot);
  std::size_t i = 0;
  for (; i + 4 <= kept.size(); i += 4) {
    const std::array<Slot, 4> slots{kept[i].slot, kept[i + 1].slot, kept[i + 2].slot, kept[i + 3].slot};
    std::array<float, 4> four;
    distance.x4(slots.data(), four.data());
    if (*std::min_element(four.begin(), four.end()) < candidate.distance) return true;
  }
  for (; i < kept.size(); ++i) {
    if (distance(kept[i].slot) < candidate.distance) return true;
  }
  return false;
}

}  // namespace detail

struct EdgeCounts {
  std::size_t max;
  std::size_t least = 0;  // where the heuristic keeps fewer, the nearest of the others fill up
};

// Some of `candidates` (sorted, distances to the node) into `selected`, nearest first.
template <class Distance>
void select_neighbors(const VectorView& view, std::span<const Neighbor> candidates, EdgeCounts counts,
                      std::vector<Neighbor>& selected) {
  selected.clear();
  if (candidates.size() <= counts.max) {
    selected.assign(candidates.begin(), candidates.end());
    return;
  }
  std::vector<Neighbor> others;
  for (const Neighbor& candidate : candidates) {
    if (selected.size() == counts.max) return;
    if (!detail::occluded<Distance>(view, candidate, selected)) {
      selected.push_back(candidate);
    } else if (others.size() < counts.least) {
      others.push_back(candidate);
    }
  }
  if (selected.size() >= counts.least) return;
  const std::size_t missing = std::min(counts.least - selected.size(), others.size());
  selected.insert(selected.end(), others.begin(), others.begin() + static_cast<std::ptrdiff_t>(missing));
  std::sort(selected.begin(), selected.end());
}

}  // namespace vdb
