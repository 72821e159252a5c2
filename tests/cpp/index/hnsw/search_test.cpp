#include <doctest/doctest.h>

#include <algorithm>

#include "answer.h"
#include "base/error.h"
#include "core/distance.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

using testing::Answer;
using testing::clustered_vectors;
using testing::kMetrics;
using testing::recall;
using testing::scan_all;
using testing::search_graph;
using testing::Vectors;
using testing::with_ef;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kDim = 16;

// Vectors in clouds with their graph, and queries from the same clouds.
struct World {
  explicit World(Metric metric)
      : vectors(clustered_vectors(metric, kRows, kDim, 1)),
        queries(clustered_vectors(metric, 100, kDim, 2)),
        graph({kDim, metric, 12, 80, 42}) {
    testing::extend(graph, vectors.view(), 0);
  }

  Answer search(const testing::Ask& ask, const HnswSearch& how) {
    return search_graph(graph, vectors.view(), queries, ask, how);
  }
  Answer truth(const testing::Ask& ask) const { return scan_all(vectors.view(), queries, ask); }

  Vectors vectors;
  Vectors queries;
  Hnsw graph;
};

World& world(Metric metric) {
  static World worlds[] = {World(Metric::kL2), World(Metric::kCosine), World(Metric::kInnerProduct)};
  return worlds[static_cast<std::size_t>(metric)];
}

RowSet every(std::size_t step) {
  std::vector<Slot> slots;
  for (std::size_t slot = 0; slot < kRows; slot += step) slots.push_back(static_cast<Slot>(slot));
  return RowSet::from_slots(slots, kRows);
}

TEST_CASE("values that every dtype holds have the same graph and the same answers in each") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = testing::integer_vectors(metric, 600, kDim, 1);
    const Vectors queries = testing::integer_vectors(metric, 20, kDim, 2);
    Hnsw graph({kDim, metric, 8, 40, 42});
    testing::extend(graph, vectors.view());
    const RowSet rows = RowSet::from_range(100, 400, vectors.n);
    const Answer expected = search_graph(graph, vectors.view(), queries, {.rows = &rows}, with_ef(40));
    for (const Dtype dtype : testing::kDtypes) {
      CAPTURE(name_of(metric));
      CAPTURE(name_of(dtype));
      const testing::StoredVectors stored(vectors, dtype);
      Hnsw own({kDim, metric, 8, 40, 42});
      testing::extend(own, stored.view());
      for (Slot slot = 0; slot < stored.n; slot += 50) CHECK(own.neighbors(slot, 0) == graph.neighbors(slot, 0));
      const testing::StoredVectors asked(queries, dtype);
      CHECK((search_graph(own, stored.view(), asked, {.rows = &rows}, with_ef(40)) == expected));
    }
  }
}

TEST_CASE("recall on clustered rows is above its floor, and distances are far below a scan's") {
  const double floors[] = {0.99, 0.99, 0.95};
  for (const Metric metric : kMetrics) {
    CAPTURE(name_of(metric));
    World& w = world(metric);
    const Answer answer = w.search({}, with_ef(80));
    CHECK(recall(answer, w.truth({})) >= floors[static_cast<std::size_t>(metric)]);
    CHECK(answer.stats.distances < w.queries.n * kRows / 3);
    CHECK(answer.stats.hops >= w.queries.n * 80);
  }
}

TEST_CASE("a larger ef finds no less and measures more") {
  World& w = world(Metric::kL2);
  const Answer truth = w.truth({});
  double last = 0;
  std::uint64_t measured = 0;
  for (const std::size_t ef : {10U, 20U, 40U, 80U, 160U}) {
    const Answer answer = w.search({}, with_ef(ef));
    CHECK(recall(answer, truth) >= last);
    CHECK(answer.stats.distances > measured);
    last = recall(answer, truth);
    measured = answer.stats.distances;
  }
}

TEST_CASE("answers come nearest first, each slot once, with the distances of the exact scan") {
  for (const Metric metric : kMetrics) {
    World& w = world(metric);
    const Answer answer = w.search({.k = 20}, with_ef(50));
    const Answer exact = w.truth({.k = kRows});
    for (std::size_t q = 0; q < w.queries.n; ++q) {
      const std::vector<Slot> found = answer.found(q);
      CHECK(found.size() == 20);
      std::vector<Slot> in_exact_order;
      std::size_t wrong = 0;
      std::size_t at = 0;
      for (std::size_t i = 0; i < kRows && at < found.size(); ++i) {
        if (exact.slots[q * kRows + i] != found[at]) continue;
        wrong += exact.distances[q * kRows + i] != answer.distances[q * 20 + at] ? 1U : 0U;
        ++at;
      }
      CHECK(at == found.size());  // the same order, so none came twice
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("any number of threads and any batch give the same answer and counts") {
  World& w = world(Metric::kCosine);
  const RowSet rows = every(3);
  for (const RowSet* filter : {static_cast<const RowSet*>(nullptr), &rows}) {
    const Answer one = w.search({10, filter, 1}, {40, 90, 0, kMaxSlots});
    const Answer all = w.search({10, filter, 0}, {40, 90, 0, kMaxSlots});
    CHECK((one == all));
    CHECK(one.stats.distances == all.stats.distances);
    CHECK(one.stats.hops == all.stats.hops);
    for (const std::size_t q : {0U, 57U, 99U}) {
      const Vectors query(Metric::kCosine, kDim, {w.queries.row(q), w.queries.row(q) + kDim});
      const Answer alone = search_graph(w.graph, w.vectors.view(), query, {10, filter, 1}, {40, 90, 0, kMaxSlots});
      CHECK(alone.found(0) == one.found(q));
    }
  }
}

TEST_CASE("a filtered search returns allowed rows only and finds nearly all it should") {
  // Under inner product rows of small norm have few edges that lead to them, and a narrow filter asks for just those.
  const double floors[] = {0.99, 0.99, 0.6};
  for (const Metric metric : kMetrics) {
    for (const std::size_t step : {2U, 10U, 50U}) {
      CAPTURE(name_of(metric));
      CAPTURE(step);
      World& w = world(metric);
      const RowSet rows = every(step);
      const Answer answer = w.search({.rows = &rows}, {40, 40 * step, 0, kMaxSlots});
      const auto allowed = [&](Slot slot) { return slot != kAbsentSlot && rows.contains(slot); };
      CHECK(std::all_of(answer.slots.begin(), answer.slots.end(), allowed));
      CHECK(recall(answer, w.truth({.rows = &rows})) >= floors[static_cast<std::size_t>(metric)]);
    }
  }
}

TEST_CASE("fewer allowed rows than k are all found when the pool holds the graph") {
  World& w = world(Metric::kL2);
  const RowSet rows = RowSet::from_slots(std::vector<Slot>{5, 900, 2999}, kRows);
  CHECK((w.search({.rows = &rows}, {10, kRows, 0, kMaxSlots}) == w.truth({.rows = &rows})));
}

TEST_CASE("no allowed row means an empty answer") {
  World& w = world(Metric::kL2);
  const RowSet rows = RowSet::none(kRows);
  const Answer answer = w.search({.rows = &rows}, with_ef(20));
  CHECK(answer.slots == std::vector<Slot>(answer.slots.size(), kAbsentSlot));
}

TEST_CASE("slots at and above the limit are never returned, whatever it is") {
  World& w = world(Metric::kL2);
  const RowSet rows = every(2);
  for (const std::size_t limit : {0U, 1U, 2U, 17U, 500U, 2000U, 2999U, 3000U}) {
    CAPTURE(limit);
    for (const RowSet* filter : {static_cast<const RowSet*>(nullptr), &rows}) {
      const Answer answer = w.search({.rows = filter}, {60, 120, 0, limit});
      const auto within = [&](Slot slot) { return slot == kAbsentSlot || slot < limit; };
      CHECK(std::all_of(answer.slots.begin(), answer.slots.end(), within));
      // A short prefix of a long graph falls apart; the caller scans where a search comes back short.
      if (limit >= 500) CHECK(answer.found(0).size() == 10);
    }
  }
  const Answer answer = w.search({}, {60, 120, 0, 2000});
  CHECK(recall(answer, scan_all(w.vectors.first(2000), w.queries, {})) >= 0.95);
}

TEST_CASE("a view of fewer rows than the graph covers is searched within its rows") {
  World& w = world(Metric::kL2);
  const Answer answer = search_graph(w.graph, w.vectors.first(1000), w.queries, {}, with_ef(80));
  CHECK(recall(answer, scan_all(w.vectors.first(1000), w.queries, {})) >= 0.95);
  CHECK(std::all_of(answer.slots.begin(), answer.slots.end(), [](Slot slot) { return slot < 1000; }));
}

TEST_CASE("a view of more rows than the graph covers is searched within the covered ones") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 500, 4, 1);
  Hnsw graph({4, Metric::kL2, 8, 40, 1});
  testing::extend(graph, vectors.first(400));
  const RowSet rows = RowSet::all(500);
  const Answer answer = search_graph(graph, vectors.view(), vectors, {.rows = &rows}, with_ef(40));
  CHECK(std::all_of(answer.slots.begin(), answer.slots.end(), [](Slot slot) { return slot < 400; }));
}

TEST_CASE("a budget ends each query near its distances and names the queries it ended, in order") {
  World& w = world(Metric::kL2);
  const RowSet rows = every(2);
  for (const RowSet* filter : {static_cast<const RowSet*>(nullptr), &rows}) {
    const Answer whole = w.search({10, filter, 0}, {80, 160, 0, kMaxSlots});
    CHECK(whole.stats.unfinished.empty());
    const Answer cut = w.search({10, filter, 0}, {80, 160, 100, kMaxSlots});
    CHECK(cut.stats.unfinished.size() == w.queries.n);
    CHECK(std::is_sorted(cut.stats.unfinished.begin(), cut.stats.unfinished.end()));
    CHECK(cut.stats.distances < whole.stats.distances / 2);
    CHECK(recall(cut, w.truth({.rows = filter})) > 0.1);
    const Answer ample = w.search({10, filter, 0}, {80, 160, 10 * kRows, kMaxSlots});
    CHECK((ample == whole));
    CHECK(ample.stats.unfinished.empty());
  }
}

TEST_CASE("a walk that comes back short of k is named as unfinished") {
  World& w = world(Metric::kL2);
  const RowSet rows = RowSet::from_slots(std::vector<Slot>{5, 900, 2999}, kRows);
  const HnswSearch wide{10, kRows, 0, kMaxSlots};
  CHECK(w.search({.k = 3, .rows = &rows}, wide).stats.unfinished.empty());
  CHECK(w.search({.k = 4, .rows = &rows}, wide).stats.unfinished.size() == w.queries.n);
  CHECK(w.search({.k = 10}, with_ef(10)).stats.unfinished.empty());
  CHECK(w.search({.k = 10}, {10, 10, 0, 0}).stats.unfinished.size() == w.queries.n);
}

TEST_CASE("ties within an answer and at its end are named, with a filter and without") {
  // Two copies of each of 40 points of a line: an even k ends between pairs, an odd one within a pair.
  std::vector<float> values;
  for (int i = 0; i < 80; ++i) values.push_back(static_cast<float>(i / 2) * 1.25F);
  const Vectors vectors(Metric::kL2, 1, std::move(values));
  Hnsw graph({1, Metric::kL2, 8, 80, 1});
  testing::extend(graph, vectors.view());
  const Vectors query(Metric::kL2, 1, {0.0F});
  const RowSet rows = RowSet::all(80);
  for (const RowSet* filter : {static_cast<const RowSet*>(nullptr), &rows}) {
    const SearchStats even = search_graph(graph, vectors.view(), query, {.k = 4, .rows = filter}, with_ef(80)).stats;
    CHECK(even.tied == std::vector<std::uint32_t>{0});
    CHECK(even.cut.empty());
    const SearchStats one = search_graph(graph, vectors.view(), query, {.k = 1, .rows = filter}, with_ef(1)).stats;
    CHECK(one.tied.empty());
    CHECK(one.cut == std::vector<std::uint32_t>{0});
  }
}

TEST_CASE("ef below k counts as k, and k above the rows finds them all") {
  World& w = world(Metric::kL2);
  CHECK((w.search({.k = 30}, with_ef(1)) == w.search({.k = 30}, with_ef(30))));
  CHECK(w.search({.k = 1}, with_ef(0)).found(0).size() == 1);
  const Answer all = w.search({.k = kRows + 5}, with_ef(1));
  CHECK(all.found(0).size() == kRows);
  CHECK(all.slots[kRows] == kAbsentSlot);
}

TEST_CASE("no queries give no answers") {
  World& w = world(Metric::kL2);
  const Vectors none(Metric::kL2, kDim, {});
  const Answer answer = search_graph(w.graph, w.vectors.view(), none, {}, with_ef(10));
  CHECK(answer.slots.empty());
  CHECK(answer.stats.distances == 0);
}

TEST_CASE("a cancelled search ends, and the graph answers the next one") {
  World& w = world(Metric::kL2);
  const Answer before = w.search({}, with_ef(20));
  CancelToken token;
  token.cancel();
  Answer answer(w.queries.n, 10);
  const QueryBatch batch{w.queries.bytes(), w.queries.n, 10, nullptr, 0, &token};
  const Answers out{answer.slots.data(), answer.distances.data()};
  CHECK_THROWS_AS(w.graph.search(w.vectors.view(), batch, with_ef(20), out), Cancelled);
  CHECK((w.search({}, with_ef(20)) == before));
}

TEST_CASE("vectors or row sets that do not fit the graph are refused") {
  World& w = world(Metric::kL2);
  const RowSet rows = RowSet::all(kRows - 1);
  CHECK_THROWS_AS(w.search({.rows = &rows}, with_ef(20)), InvalidArgument);
  const Vectors narrow = clustered_vectors(Metric::kL2, 10, kDim - 1, 1);
  CHECK_THROWS_AS(search_graph(w.graph, narrow.view(), narrow, {}, with_ef(20)), InvalidArgument);
  const Vectors cosine = clustered_vectors(Metric::kCosine, 10, kDim, 1);
  CHECK_THROWS_AS(search_graph(w.graph, cosine.view(), cosine, {}, with_ef(20)), InvalidArgument);
}

}  // namespace
}  // namespace vdb
