#include "index/graph/search.h"

#include <doctest/doctest.h>

#include <numeric>

#include "base/error.h"
#include "data.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"

namespace vdb {
namespace {

using testing::Vectors;

// Slots 0..n-1 at the points 0..n-1 of a line, each linked to the one before and the one behind it.
class Line {
 public:
  explicit Line(std::size_t n) : edges_(2 * n, kAbsentSlot), vectors_(Metric::kL2, 1, points(n)) {
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<Slot> row;
      if (i > 0) row.push_back(static_cast<Slot>(i - 1));
      if (i + 1 < n) row.push_back(static_cast<Slot>(i + 1));
      adjacency().store(static_cast<Slot>(i), row);
    }
  }

  Adjacency adjacency() { return {edges_.data(), 2}; }
  VectorView view() const { return vectors_.view(); }

  // Searches from slot `from` for the point `x`.
  template <class Filter>
  bool search(float x, const Filter& filter, const BeamLimits& limits, Slot from = 0) {
    const L2Distance distance(view(), &x);
    const std::array<Slot, 2> entries{from, from};  // twice: it must count once
    stats = {};
    return beam_search(distance, filter, OneHop{adjacency(), limit}, entries, {limits, scratch, stats});
  }

  std::size_t limit = kMaxSlots;
  Scratch scratch;
  SearchStats stats;

 private:
  static std::vector<float> points(std::size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.0F);
    return values;
  }

  std::vector<Slot> edges_;
  Vectors vectors_;
};

std::vector<Slot> slots_of(const CandidatePool& pool) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < pool.size(); ++i) slots.push_back(pool[i].slot);
  return slots;
}

std::vector<Slot> slots_of(TopK& top) {
  std::vector<Slot> slots;
  for (const Neighbor& neighbor : top.sorted()) slots.push_back(neighbor.slot);
  return slots;
}

TEST_CASE("the beam walks to the query and keeps the nearest nodes, ties by slot") {
  Line line(100);
  CHECK(line.search(70, AllowAll{}, {5, 5, 100}));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{70, 69, 71, 68, 72});
}

TEST_CASE("a pool of one is greedy descent") {
  Line line(100);
  CHECK(line.search(41.2F, AllowAll{}, {1, 1, 100}, 90));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{41});
}

TEST_CASE("a pool as large as the graph finds every node and measures each once") {
  Line line(100);
  CHECK(line.search(50, AllowAll{}, {100, 100, 100}));
  CHECK(line.scratch.pool.size() == 100);
  CHECK(line.stats.distances == 100);
  CHECK(line.stats.hops == 100);
}

TEST_CASE("nodes that are not allowed are walked through and never returned") {
  Line line(100);
  std::vector<Slot> tens;
  for (Slot slot = 0; slot < 100; slot += 10) tens.push_back(slot);
  const RowSet rows = RowSet::from_slots(tens, 100);
  CHECK(line.search(64, AllowRows{rows}, {3, 50, 100}));
  CHECK(slots_of(line.scratch.allowed) == std::vector<Slot>{60, 70, 50});
}

TEST_CASE("a filtered search ends once nothing left can improve its answer") {
  Line line(1000);
  const RowSet rows = RowSet::all(1000);
  CHECK(line.search(0, AllowRows{rows}, {3, 1000, 1000}));
  CHECK(slots_of(line.scratch.allowed) == std::vector<Slot>{0, 1, 2});
  CHECK(line.stats.distances < 10);
}

TEST_CASE("where nothing is allowed the whole reach of the pool is walked and nothing is returned") {
  Line line(100);
  const RowSet rows = RowSet::none(100);
  CHECK(line.search(50, AllowRows{rows}, {3, 100, 100}));
  CHECK(slots_of(line.scratch.allowed).empty());
  CHECK(line.stats.distances == 100);
}

TEST_CASE("a budget ends the search, says so and keeps what was found") {
  Line line(1000);
  CHECK_FALSE(line.search(900, AllowAll{}, {5, 5, 1000, 20}));
  CHECK(line.stats.distances >= 20);
  CHECK(line.stats.distances < 20 + 2);
  CHECK(line.scratch.pool[0].slot == line.stats.distances - 1);
  CHECK(line.search(10, AllowAll{}, {2, 2, 1000, 20}));
}

TEST_CASE("a cancelled search ends within its polling interval") {
  Line line(1000);
  CancelToken token;
  token.cancel();
  CHECK_THROWS_AS(line.search(900, AllowAll{}, {5, 5, 1000, 0, &token}), Cancelled);
  CHECK_NOTHROW(line.search(10, AllowAll{}, {2, 2, 1000, 0, &token}));
}

TEST_CASE("nodes at and above the limit are not seen") {
  Line line(100);
  line.limit = 40;
  CHECK(line.search(70, AllowAll{}, {3, 3, 100}));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{39, 38, 37});
}

TEST_CASE("nodes that are infinitely far are walked through and found") {
  const Vectors vectors(Metric::kL2, 1, {3e38F, 3e38F, -3e38F, -3e38F});
  std::vector<Slot> memory{1, 2, 3, kAbsentSlot};  // 0 -> 1 -> 2 -> 3
  Scratch scratch;
  SearchStats stats;
  const L2Distance distance(vectors.view(), vectors.row(3));
  const Slot entry = 0;
  beam_search(distance, AllowAll{}, OneHop{Adjacency(memory.data(), 1), 4}, {&entry, 1}, {{4, 4, 4}, scratch, stats});
  CHECK(slots_of(scratch.pool) == std::vector<Slot>{2, 3, 0, 1});
}

TEST_CASE("one scratch serves searches of any size one after the other") {
  Scratch scratch;
  for (const std::size_t n : {10U, 300U, 3U, 100U}) {
    Line line(n);
    std::swap(line.scratch, scratch);
    CHECK(line.search(static_cast<float>(n - 1), AllowAll{}, {2, 2, n}));
    CHECK(line.scratch.pool[0].slot == n - 1);
    std::swap(line.scratch, scratch);
  }
}

}  // namespace
}  // namespace vdb
