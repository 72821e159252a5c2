#include "index/graph/filtered_search.h"

#include <doctest/doctest.h>

#include "data.h"
#include "index/graph/adaptive_hop.h"
#include "index/graph/line.h"
#include "index/graph/two_hop.h"

namespace vdb {
namespace {

using testing::Line;
using testing::slots_of;

// Slots of a line that pass where they are a multiple of `step`.
RowSet every(std::size_t step, std::size_t n) {
  std::vector<Slot> slots;
  for (std::size_t slot = 0; slot < n; slot += step) slots.push_back(static_cast<Slot>(slot));
  return RowSet::from_slots(slots, n);
}

struct Asked {
  float x;
  std::size_t ef;
  Slot entry;
  std::size_t bridges = 1000;
  std::uint64_t budget = 0;
};

bool adaptive(Line& line, const RowSet& rows, const Asked& asked) {
  const L2Distance distance(line.view(), &asked.x);
  AdaptiveHop hop({line.adjacency(), rows, line.limit}, line.scratch.surroundings, asked.bridges);
  const bool passes = rows.contains(asked.entry);
  const std::span<const Slot> allowed(&asked.entry, passes ? 1 : 0);
  line.stats = {};
  return search_passing(distance, hop, {allowed, passes ? kAbsentSlot : asked.entry},
                        line.beam({asked.ef, asked.ef, rows.size(), asked.budget}));
}

TEST_CASE("where every second node passes, a walk goes from one to the next by the neighbours between, unmeasured") {
  Line line(200);
  const RowSet rows = every(2, 200);
  CHECK(adaptive(line, rows, {101, 4, 20, 2}));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{100, 102, 98, 104});
  CHECK(line.stats.tests > 0);
  CHECK(line.stats.hops < 60);
}

TEST_CASE("where neighbours of neighbours fail too, bridges lead on, and only allowed nodes are found") {
  Line line(200, 0, 3);
  const RowSet rows = every(10, 200);
  CHECK(adaptive(line, rows, {101, 20, 20}));
  const std::vector<Slot> found = slots_of(line.scratch.pool);
  REQUIRE(found.size() == 20);
  CHECK(std::vector<Slot>(found.begin(), found.begin() + 3) == std::vector<Slot>{100, 110, 90});
}

TEST_CASE("an entry that fails is gone through and not found") {
  Line line(200, 0, 3);
  const RowSet rows = every(10, 200);
  CHECK(adaptive(line, rows, {101, 3, 95}));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{100, 110, 90});
}

TEST_CASE("a walk takes no more bridges than it may") {
  Line line(1000);
  const RowSet rows = RowSet::none(1000);
  CHECK(adaptive(line, rows, {900, 3, 100, 12}));
  CHECK(line.scratch.pool.size() == 0);
  CHECK(line.stats.hops == 1 + 12);
}

TEST_CASE("a budget ends a walk over bridges and keeps what was found") {
  Line line(1000, 0, 3);
  const RowSet rows = every(10, 1000);
  CHECK_FALSE(adaptive(line, rows, {900, 100, 0, 1000, 60}));
  CHECK(line.scratch.pool.size() > 1);
  CHECK(line.stats.distances + line.stats.tests / kTestsPerStep < 70);
}

TEST_CASE("nodes at and above the limit are neither found nor gone through") {
  Line line(100);
  line.limit = 40;
  const RowSet rows = every(2, 100);
  CHECK(adaptive(line, rows, {70, 3, 10}));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{38, 36, 34});
}

TEST_CASE("the two-hop walk takes allowed neighbours of neighbours, whether those pass or not") {
  for (const std::size_t step : {1U, 2U}) {
    Line line(200);
    const RowSet rows = every(step, 200);
    const float x = 20;
    const L2Distance distance(line.view(), &x);
    TwoHop hop({line.adjacency(), rows, line.limit}, line.scratch.surroundings);
    const Slot entry = 50;
    CHECK(search_passing(distance, hop, {{&entry, 1}, kAbsentSlot}, line.beam({3, 3, 200})));
    const Slot apart = static_cast<Slot>(step);
    CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{20, 20 - apart, 20 + apart});
  }
}

TEST_CASE("a walk without the filter goes on until enough of what it found passes") {
  Line line(400);
  const RowSet rows = every(10, 400);
  const float x = 101;
  const L2Distance distance(line.view(), &x);
  CHECK(search_then_filter(distance, AllowRows{rows}, line.hop(), 90, line.beam({4, 4, 400})));
  // The nearest 4, 8, 16, 32 and 64 nodes: one of the first passes, three of 32 do, and seven of 64.
  CHECK(line.scratch.pool.size() == 64);
  CHECK(line.stats.distances < 100);
  CHECK(line.stats.tests == 4 + 8 + 16 + 32 + 64);
}

TEST_CASE("a walk without the filter ends where the graph does, or its budget") {
  Line line(400, 200);
  const RowSet rows = RowSet::from_slots(std::vector<Slot>{300}, 400);
  const float x = 101;
  const L2Distance distance(line.view(), &x);
  CHECK(search_then_filter(distance, AllowRows{rows}, line.hop(), 90, line.beam({4, 4, 400})));
  CHECK(line.scratch.pool.size() == 200);
  line.stats = {};
  CHECK_FALSE(search_then_filter(distance, AllowRows{rows}, line.hop(), 90, line.beam({4, 4, 400, 50})));
  CHECK(line.stats.distances <= 52);
}

}  // namespace
}  // namespace vdb
