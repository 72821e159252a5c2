// The plainest graph: points of a line, each linked to the one before and the one behind it.
#pragma once

#include <cstddef>
#include <numeric>
#include <vector>

#include "core/distance.h"
#include "data.h"
#include "index/graph/expansion.h"
#include "index/graph/scratch.h"
#include "index/graph/search.h"

namespace vdb::testing {

// Slots 0..n-1 at the points 0..n-1, each linked to its `reach` nearest on either side. No edge crosses a gap, which
// lies before its slot.
class Line {
 public:
  explicit Line(std::size_t n, std::size_t gap = 0, std::size_t reach = 1)
      : width_(2 * (reach + 1)), edges_(width_ * n, kAbsentSlot), vectors_(Metric::kL2, 1, points(n)) {
    const auto linked = [&](std::size_t a, std::size_t b) { return b < n && (a < gap) == (b < gap); };
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<Slot> row;
      for (std::size_t apart = 1; apart <= reach; ++apart) {
        if (i >= apart && linked(i, i - apart)) row.push_back(static_cast<Slot>(i - apart));
        if (linked(i, i + apart)) row.push_back(static_cast<Slot>(i + apart));
      }
      adjacency().store(static_cast<Slot>(i), row);
    }
  }

  Adjacency adjacency() { return {edges_.data(), width_}; }
  OneHop hop() { return {adjacency(), limit}; }
  VectorView view() const { return vectors_.view(); }
  Beam beam(const BeamLimits& limits) { return {limits, scratch, stats}; }

  std::size_t limit = kMaxSlots;
  Scratch scratch;
  SearchStats stats;

 private:
  static std::vector<float> points(std::size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.0F);
    return values;
  }

  std::size_t width_;  // with two empty places
  std::vector<Slot> edges_;
  Vectors vectors_;
};

inline std::vector<Slot> slots_of(const CandidatePool& pool) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < pool.size(); ++i) slots.push_back(pool[i].slot);
  return slots;
}

inline std::vector<Slot> slots_of(TopK& top) {
  std::vector<Slot> slots;
  for (const Neighbor& neighbor : top.sorted()) slots.push_back(neighbor.slot);
  return slots;
}

}  // namespace vdb::testing
