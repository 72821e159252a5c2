#include "index/graph/search.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "data.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/line.h"

namespace vdb {
namespace {

using testing::Line;
using testing::slots_of;
using testing::Vectors;

// Searches from slot `from` for the point `x`.
template <class Filter>
bool search(Line& line, float x, const Filter& filter, const BeamLimits& limits, Slot from = 0) {
  const L2Distance distance(line.view(), &x);
  const std::array<Slot, 2> entries{from, from};  // twice: it must count once
  line.stats = {};
  return beam_search(distance, filter, line.hop(), entries, line.beam(limits));
}

TEST_CASE("the beam walks to the query and keeps the nearest nodes, ties by slot") {
  Line line(100);
  CHECK(search(line, 70, AllowAll{}, {5, 5, 100}));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{70, 69, 71, 68, 72});
}

TEST_CASE("a pool of one is greedy descent") {
  Line line(100);
  CHECK(search(line, 41.2F, AllowAll{}, {1, 1, 100}, 90));
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{41});
}

TEST_CASE("a pool as large as the graph finds every node and measures each once") {
  Line line(100);
  CHECK(search(line, 50, AllowAll{}, {100, 100, 100}));
  CHECK(line.scratch.pool.size() == 100);
  CHECK(line.stats.distances == 100);
  CHECK(line.stats.hops == 100);
}

TEST_CASE("nodes that are not allowed are walked through and never returned") {
  Line line(100);
  std::vector<Slot> tens;
  for (Slot slot = 0; slot < 100; slot += 10) tens.push_back(slot);
  const RowSet rows = RowSet::from_slots(tens, 100);
  CHECK(search(line, 64, AllowRows{rows}, {3, 50, 100}));
  CHECK(slots_of(line.scratch.allowed) == std::vector<Slot>{60, 70, 50});
}

TEST_CASE("a filtered search ends once nothing left can improve its answer") {
  Line line(1000);
  const RowSet rows = RowSet::all(1000);
  CHECK(search(line, 0, AllowRows{rows}, {3, 1000, 1000}));
  CHECK(slots_of(line.scratch.allowed) == std::vector<Slot>{0, 1, 2});
  CHECK(line.stats.distances < 10);
}

TEST_CASE("where nothing is allowed the whole reach of the pool is walked and nothing is returned") {
  Line line(100);
  const RowSet rows = RowSet::none(100);
  CHECK(search(line, 50, AllowRows{rows}, {3, 100, 100}));
  CHECK(slots_of(line.scratch.allowed).empty());
  CHECK(line.stats.distances == 100);
}

TEST_CASE("a budget ends the search, says so and keeps what was found") {
  Line line(1000);
  CHECK_FALSE(search(line, 900, AllowAll{}, {5, 5, 1000, 20}));
  CHECK(line.stats.distances >= 20);
  CHECK(line.stats.distances < 20 + 2);
  CHECK(line.scratch.pool[0].slot == line.stats.distances - 1);
  CHECK(search(line, 10, AllowAll{}, {2, 2, 1000, 20}));
}

TEST_CASE("a walk that its budget ended goes on with more, as if it had never stopped") {
  Line line(1000);
  CHECK(search(line, 900, AllowAll{}, {5, 5, 1000}));
  const std::vector<Slot> found = slots_of(line.scratch.pool);
  const SearchStats whole = line.stats;
  const float x = 900;
  const L2Distance distance(line.view(), &x);
  const OneHop hop = line.hop();
  const Slot entry = 0;
  line.stats = {};
  Walk<L2Distance, AllowAll, const OneHop> walk(distance, AllowAll{}, hop, line.beam({5, 5, 1000, 20}));
  walk.enter({&entry, 1});
  CHECK_FALSE(walk.run());
  CHECK_FALSE(walk.within_budget());
  walk.go_on({5, 5, 1000, 300});
  CHECK_FALSE(walk.run());
  walk.go_on({5, 5, 1000});
  CHECK(walk.run());
  CHECK(walk.finish());
  CHECK(slots_of(line.scratch.pool) == found);
  CHECK(line.stats.distances == whole.distances);
  CHECK(line.stats.hops == whole.hops);
}

TEST_CASE("a walk that has ended goes on with a wider pool and measures nothing twice") {
  Line line(200);
  const float x = 70.25F;
  const L2Distance distance(line.view(), &x);
  const OneHop hop = line.hop();
  const Slot entry = 0;
  Walk<L2Distance, AllowAll, const OneHop> walk(distance, AllowAll{}, hop, line.beam({2, 2, 200}));
  walk.enter({&entry, 1}, CandidatePool::Rest::kSetAside);
  CHECK(walk.run());
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{70, 71});
  walk.go_on({2, 6, 200});
  CHECK(walk.run());
  CHECK(slots_of(line.scratch.pool) == std::vector<Slot>{70, 71, 69, 72, 68, 73});
  walk.go_on({2, 500, 200});
  CHECK(walk.run());
  walk.finish();
  CHECK(line.scratch.pool.size() == 200);
  CHECK(line.stats.distances == 200);
  CHECK(line.stats.hops == 200);
}

TEST_CASE("a walk that has ended goes on through a node it did not find") {
  Line line(100, 50);
  const float x = 40;
  const L2Distance distance(line.view(), &x);
  const OneHop hop = line.hop();
  const Slot entry = 10;
  Walk<L2Distance, AllowAll, const OneHop> walk(distance, AllowAll{}, hop, line.beam({100, 100, 100}));
  walk.enter({&entry, 1});
  CHECK(walk.run());
  CHECK(line.scratch.pool.size() == 50);
  walk.go_through(60);
  CHECK(walk.run());
  CHECK(line.scratch.pool.size() == 99);  // all but the node gone through, which it was not asked to find
  walk.finish();
  CHECK(line.stats.distances == 99);
  CHECK(line.stats.hops == 100);
}

TEST_CASE("tests of the filter are counted, and a budget counts sixteen as a step") {
  Line line(1000);
  const RowSet rows = RowSet::none(1000);
  CHECK(search(line, 500, AllowRows{rows}, {3, 1000, 1000}));
  CHECK(line.stats.tests == 1000);
  CHECK_FALSE(search(line, 500, AllowRows{rows}, {3, 1000, 1000, 17}));
  CHECK(line.stats.distances + line.stats.tests / kTestsPerStep == 17);
}

TEST_CASE("a cancelled search ends within its polling interval") {
  Line line(1000);
  CancelToken token;
  token.cancel();
  CHECK_THROWS_AS(search(line, 900, AllowAll{}, {5, 5, 1000, 0, &token}), Cancelled);
  CHECK_NOTHROW(search(line, 10, AllowAll{}, {2, 2, 1000, 0, &token}));
}

TEST_CASE("nodes at and above the limit are not seen") {
  Line line(100);
  line.limit = 40;
  CHECK(search(line, 70, AllowAll{}, {3, 3, 100}));
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
    CHECK(search(line, static_cast<float>(n - 1), AllowAll{}, {2, 2, n}));
    CHECK(line.scratch.pool[0].slot == n - 1);
    std::swap(line.scratch, scratch);
  }
}

}  // namespace
}  // namespace vdb
