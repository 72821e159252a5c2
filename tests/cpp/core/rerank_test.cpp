#include "core/rerank.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "data.h"

namespace vdb {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Interval {
  float lower;
  float upper;
};

std::vector<Slot> kept(const std::vector<Interval>& intervals, std::size_t k) {
  BoundedCandidates candidates;
  candidates.reset(k);
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    candidates.offer(static_cast<Slot>(i), intervals[i].lower, intervals[i].upper);
  }
  std::vector<Slot> slots;
  for (const Neighbor& candidate : candidates.sorted()) slots.push_back(candidate.slot);
  return slots;
}

TEST_CASE("a row stays while its interval reaches the k-th smallest upper bound") {
  const std::vector<Interval> intervals{{5, 6}, {1, 2}, {2, 3}, {3, 9}, {3.5F, 4}, {1, 8}};
  CHECK(kept(intervals, 2) == std::vector<Slot>{1, 5, 2, 3});
  CHECK(kept(intervals, 1) == std::vector<Slot>{1, 5, 2});
  CHECK(kept(intervals, 6).size() == 6);
  CHECK(kept(intervals, 100).size() == 6);
  CHECK(kept({}, 3).empty());
}

TEST_CASE("an interval that overflowed is kept and beats nobody") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Interval> intervals{{nan, nan}, {-kInfinity, kInfinity}, {1, 1}, {2, 2}, {nan, kInfinity}};
  std::vector<Slot> slots = kept(intervals, 1);
  std::sort(slots.begin(), slots.end());
  CHECK(slots == std::vector<Slot>{0, 1, 2, 4});
}

TEST_CASE("compaction on the way loses no candidate") {
  testing::Random random(3);
  std::vector<Interval> intervals;
  for (std::size_t i = 0; i < 20'000; ++i) {
    const float middle = static_cast<float>(20'000 - i) + static_cast<float>(random.unit());  // ever nearer
    intervals.push_back({middle - 50, middle + 50});
  }
  std::vector<float> uppers;
  for (const Interval& interval : intervals) uppers.push_back(interval.upper);
  std::sort(uppers.begin(), uppers.end());
  const std::vector<Slot> slots = kept(intervals, 10);
  const auto reach = [&](const Interval& interval) { return interval.lower <= uppers[9]; };
  CHECK(slots.size() == static_cast<std::size_t>(std::count_if(intervals.begin(), intervals.end(), reach)));
  for (const Slot slot : slots) CHECK(reach(intervals[slot]));
}

TEST_CASE("rerank finds the nearest and measures no more than it must") {
  const testing::Vectors rows = testing::uniform_vectors(Metric::kL2, 200, 8, 1);
  const testing::Vectors queries = testing::uniform_vectors(Metric::kL2, 1, 8, 2);
  const L2Distance distance(rows.view(), queries.row(0));
  std::vector<Neighbor> all;
  for (Slot slot = 0; slot < 200; ++slot) all.push_back({distance(slot), slot});
  std::sort(all.begin(), all.end());
  TopK nearest;
  nearest.reset(5);
  CHECK(rerank(distance, all, nearest, nullptr) == 8);  // two steps of four: the bounds are the distances themselves
  CHECK(std::ranges::equal(nearest.sorted(), std::span(all).first(5)));
  std::vector<Neighbor> loose = all;
  for (Neighbor& candidate : loose) candidate.distance -= 0.5F;
  nearest.reset(5);
  const std::size_t measured = rerank(distance, loose, nearest, nullptr);
  CHECK(measured > 8);
  CHECK(measured < 200);
  CHECK(std::ranges::equal(nearest.sorted(), std::span(all).first(5)));
  nearest.reset(5);
  CHECK(rerank(distance, std::span<const Neighbor>(), nearest, nullptr) == 0);
  CancelToken cancelled;
  cancelled.cancel();
  CHECK_THROWS_AS(rerank(distance, all, nearest, &cancelled), Cancelled);
}

}  // namespace
}  // namespace vdb
