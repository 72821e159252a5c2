// Searches of overlays against the exact scan of the rows that have the labels.
#include <doctest/doctest.h>

#include "base/error.h"
#include "label_cases.h"

namespace vdb {
namespace {

using namespace testing;

using Labels = std::vector<std::uint32_t>;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kDim = 16;
constexpr std::size_t kMinRows = 200;

LabelParams params(Metric metric = Metric::kL2, std::size_t dim = kDim) { return {dim, metric, 10, 80, 42, kMinRows}; }

struct World {
  explicit World(Metric metric)
      : vectors(clustered_vectors(metric, kRows, kDim, 1)),
        queries(clustered_vectors(metric, 60, kDim, 2)),
        lists(make_lists(kRows, 3)),
        graph(params(metric)) {
    extend(graph, vectors, lists, nullptr, 2);
  }

  Answer search(const LabelAsk& how, const Ask& ask = {}) {
    return search_labels(graph, vectors.view(), queries, how, ask);
  }
  Answer truth(const RowSet& rows) const { return scan_all(vectors.view(), queries, {.rows = &rows}); }

  Vectors vectors;
  Vectors queries;
  Lists lists;
  LabelGraph graph;
};

World& world(Metric metric = Metric::kL2) {
  static World worlds[] = {World(Metric::kL2), World(Metric::kCosine), World(Metric::kInnerProduct)};
  return worlds[static_cast<std::size_t>(metric)];
}

TEST_CASE("labels that many rows but not nearly all have get an overlay, of just these rows") {
  World& w = world();
  CHECK(w.graph.labels() == Labels{0, 1, 2});  // 3 is rare, 9 on every row
  std::size_t nodes = 0;
  for (const std::uint32_t label : {0U, 1U, 2U}) {
    CHECK(w.graph.count(label) == with_any(w.lists, {label}, kRows).count());
    nodes += w.graph.count(label);
  }
  CHECK(w.graph.nodes() == nodes);
  CHECK(w.graph.covered() == kRows);
  w.graph.check("here");
  CHECK(w.graph.neighbors(0, *w.graph.neighbors(0, with_any(w.lists, {0}, kRows).to_slots()[0]).begin()).size() > 3);
  CHECK_THROWS_AS(w.graph.neighbors(3, with_any(w.lists, {3}, kRows).to_slots()[0]), InvalidArgument);
}

TEST_CASE("a search of one label finds what the scan of its rows finds, in far fewer distances") {
  const double floors[] = {0.98, 0.98, 0.93};
  for (const Metric metric : kMetrics) {
    World& w = world(metric);
    for (const std::uint32_t label : {0U, 1U, 2U}) {
      CAPTURE(name_of(metric));
      CAPTURE(label);
      const RowSet rows = with_any(w.lists, {label}, kRows);
      const Answer answer = w.search({{label}});
      CHECK(recall(answer, w.truth(rows)) >= floors[static_cast<std::size_t>(metric)]);
      CHECK(wrong_rows(answer, rows) == 0);
      CHECK(answer.stats.unfinished.empty());
      if (label == 0) CHECK(answer.stats.distances < w.queries.n * rows.count() / 2);
    }
  }
}

TEST_CASE("answers come nearest first with the distances of the scan") {
  World& w = world();
  const RowSet rows = with_any(w.lists, {1}, kRows);
  const Answer truth = w.truth(rows);
  const Answer answer = w.search({{1}, 400});
  std::size_t same = 0;
  for (std::size_t i = 0; i < truth.slots.size(); ++i) {
    if (i % 10 != 0) CHECK(answer.distances[i - 1] <= answer.distances[i]);
    if (answer.slots[i] == truth.slots[i]) CHECK(answer.distances[i] == truth.distances[i]);
    same += answer.slots[i] == truth.slots[i] ? 1U : 0U;
  }
  CHECK(same > truth.slots.size() * 9 / 10);
}

TEST_CASE("a union finds the nearest of all its labels, each row once") {
  World& w = world();
  for (const Labels& labels : {Labels{0, 1}, Labels{2, 1, 0}, Labels{1, 1}}) {
    const RowSet rows = with_any(w.lists, labels, kRows);
    const Answer answer = w.search({labels});
    CHECK(recall(answer, w.truth(rows)) >= 0.98);
    CHECK(wrong_rows(answer, rows) == 0);
  }
}

TEST_CASE("an intersection walks one overlay and keeps what is allowed") {
  World& w = world();
  const RowSet rows = with_any(w.lists, {0}, kRows) & with_any(w.lists, {2}, kRows);
  const std::size_t pool = 80 * w.graph.count(2) / rows.count();
  const Answer answer = w.search({{2}, 80, pool}, {.rows = &rows});
  CHECK(recall(answer, w.truth(rows)) >= 0.98);
  CHECK(wrong_rows(answer, rows) == 0);
  const RowSet none = RowSet::none(kRows);
  CHECK(w.search({{2}}, {.rows = &none}).found(0).empty());
}

TEST_CASE("a label without an overlay leaves every query unfinished") {
  World& w = world();
  for (const Labels& labels : {Labels{3}, Labels{0, 9}, Labels{77}}) {
    const Answer answer = w.search({labels});
    CHECK(answer.stats.unfinished.size() == w.queries.n);
  }
  CHECK(w.search({{3}}).found(0).empty());
}

TEST_CASE("a walk that its budget ends, or that finds fewer than k, is unfinished") {
  World& w = world();
  const Answer cut = w.search({{0, 1}, 80, 0, 100});
  CHECK(cut.stats.unfinished.size() == w.queries.n);
  CHECK(cut.stats.distances < w.queries.n * 200);
  const std::size_t all = w.graph.count(2);
  const Answer everything = w.search({{2}}, {.k = all});
  CHECK(everything.stats.unfinished.empty());
  CHECK(w.search({{2}}, {.k = all + 1}).stats.unfinished.size() == w.queries.n);
}

TEST_CASE("rows from the limit on are not found") {
  World& w = world();
  const Answer answer = w.search({{0}, 80, 0, 0, 1000});
  CHECK(wrong_rows(answer, with_any(w.lists, {0}, 1000).resized(kRows, false)) == 0);
  CHECK(answer.found(0).size() == 10);
  CHECK(w.search({{0}, 80, 0, 0, 0}).stats.unfinished.size() == w.queries.n);
}

TEST_CASE("answers do not depend on the number of threads, nor do overlays") {
  World& w = world();
  CHECK((w.search({{0, 2}}, {.threads = 1}) == w.search({{0, 2}}, {.threads = 3})));
  LabelGraph other(params());
  extend(other, w.vectors, w.lists, nullptr, 1);
  for (const Slot slot : with_any(w.lists, {0}, kRows).to_slots()) {
    REQUIRE(other.neighbors(0, slot) == w.graph.neighbors(0, slot));
  }
}

TEST_CASE("walks by the codes of a graph find what walks by vectors find") {
  constexpr std::size_t kWide = 128;
  for (const Metric metric : kMetrics) {
    for (const CodecKind kind : {CodecKind::kRabitq, CodecKind::kSq8}) {
      CAPTURE(name_of(metric));
      const Vectors vectors = clustered_vectors(metric, kRows, kWide, 1);
      const Vectors queries = clustered_vectors(metric, 40, kWide, 2);
      const Lists lists = make_lists(kRows, 3);
      Hnsw coded({kWide, metric, 4, 10, 7, kind, kind == CodecKind::kRabitq ? 2U : 0U});
      extend(coded, vectors.view());
      LabelGraph graph(params(metric, kWide));
      const FlatLists flat(lists);
      CancelToken token;
      graph.extend(vectors.view(), {flat.slots, flat.view(), false, nullptr, 2, &token, {}, coded.codes()});
      const RowSet rows = with_any(lists, {0, 1}, kRows);
      LabelAsk how{{0, 1}, 160};
      how.codes = coded.codes();
      const Answer answer = search_labels(graph, vectors.view(), queries, how);
      CHECK(recall(answer, scan_all(vectors.view(), queries, {.rows = &rows})) >= 0.93);
      CHECK(wrong_rows(answer, rows) == 0);
      CHECK(answer.stats.estimates > answer.stats.distances);
      CHECK(answer.stats.distances > 0);
    }
  }
}

TEST_CASE("codes that do not cover what is searched are left aside") {
  World& w = world();
  Hnsw coded({kDim, Metric::kL2, 4, 10, 7, CodecKind::kSq8, 0});
  extend(coded, w.vectors.first(2000));
  LabelAsk how{{0}};
  how.codes = coded.codes();
  CHECK(w.search(how).stats.estimates == 0);
  how.limit = 2000;
  CHECK(w.search(how).stats.estimates > 0);
}

TEST_CASE("a search of other vectors or with other codes is refused") {
  World& w = world();
  const Vectors wide = clustered_vectors(Metric::kL2, 20, kDim + 1, 1);
  CHECK_THROWS_AS(search_labels(w.graph, wide.view(), wide, {{0}}), InvalidArgument);
  const RowSet few = RowSet::all(10);
  CHECK_THROWS_AS(w.search({{0}}, {.rows = &few}), InvalidArgument);
  const Hnsw other({kDim, Metric::kCosine, 4, 10, 7, CodecKind::kSq8, 0});
  LabelAsk how{{0}};
  how.codes = other.codes();
  CHECK_THROWS_AS(w.search(how), InvalidArgument);
}

}  // namespace
}  // namespace vdb
