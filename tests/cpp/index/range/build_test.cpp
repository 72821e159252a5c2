#include <doctest/doctest.h>

#include <numeric>

#include "range_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kDim = 10;

RangeParams params() { return {kDim, Metric::kL2, 12, 80, 42}; }

// Recall over ranges of several widths; every answer is checked against the exact one.
double checked_recall(RangeGraph& graph, const VectorView& view, const Keys& all_keys, std::size_t ef = 60) {
  const Keys keys(all_keys.begin(), all_keys.begin() + static_cast<std::ptrdiff_t>(view.n));
  const Vectors queries = clustered_vectors(Metric::kL2, 30, kDim, 2);
  graph.check("here");
  double sum = 0;
  const std::size_t sizes[] = {view.n / 20, view.n / 6, view.n / 2, view.n};
  for (const std::size_t size : sizes) {
    const KeyRange range = middle(keys, size);
    const RowSet rows = rows_in(keys, range);
    const Answer found = search_range(graph, view, queries, {.rows = &rows}, within(range, ef));
    CHECK(count_wrong(found, scan_all(view, queries, {view.n, &rows})) == 0);
    sum += recall(found, scan_all(view, queries, {10, &rows}));
  }
  return sum / static_cast<double>(std::size(sizes));
}

std::vector<unsigned char> bytes_of_graph(RangeGraph& graph) {
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  return read_file(folder.file("graph"));
}

TEST_CASE("a graph is the same for any number of threads") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Keys keys = random_keys(kRows, 4, 3);
  RangeGraph one(params());
  RangeGraph many(params());
  for (const std::size_t n : {std::size_t{1}, std::size_t{700}, std::size_t{705}, kRows}) {
    extend(one, vectors.first(n), keys, 1);
    extend(many, vectors.first(n), keys, 0);
  }
  CHECK((bytes_of_graph(one) == bytes_of_graph(many)));
}

TEST_CASE("growth by commits, in the order of the keys, against it and in none, finds as much as one load") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Keys rising(kRows);
  std::iota(rising.begin(), rising.end(), -50);
  const Keys falling(rising.rbegin(), rising.rend());
  for (const Keys& keys : {rising, falling, random_keys(kRows, 1, 3), random_keys(kRows, 50, 3)}) {
    RangeGraph at_once(params());
    extend(at_once, vectors.view(), keys);
    CHECK(checked_recall(at_once, vectors.view(), keys) >= 0.985);
    RangeGraph grown(params());
    for (std::size_t n = 1; n < kRows; n += n < 200 ? 1 : n / 9) extend(grown, vectors.first(n), keys);
    extend(grown, vectors.view(), keys);
    CHECK(grown.nodes() == kRows);
    CHECK(checked_recall(grown, vectors.view(), keys) >= 0.975);
  }
}

TEST_CASE("rows without a key stay out until they have one, and dead rows are walked through") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 30, kDim, 2);
  const Keys keys = random_keys(kRows, 1, 3);
  std::vector<Slot> odd;
  for (Slot slot = 1; slot < kRows; slot += 2) odd.push_back(slot);
  const RowSet half = RowSet::from_slots(odd, kRows);
  RangeGraph graph(params());
  extend(graph, vectors.view(), keys, 1, &half);
  CHECK(graph.nodes() == half.count());
  CHECK(graph.covered() == kRows);
  CHECK_THROWS_AS(graph.neighbors(2, 0), InvalidArgument);
  const KeyRange range = middle(keys, 2000);
  const Answer found = search_range(graph, vectors.view(), queries, {}, within(range, 60));
  const RowSet rows = rows_in(keys, range) & half;
  CHECK(count_wrong(found, scan_all(vectors.view(), queries, {kRows, &rows})) == 0);
  extend(graph, vectors.view(), keys);
  CHECK(graph.nodes() == kRows);
  extend(graph, vectors.view(), keys, 1, &half);  // the others died
  CHECK(graph.nodes() == kRows);
  const Answer living = search_range(graph, vectors.view(), queries, {.rows = &rows}, within(range, 60));
  CHECK(count_wrong(living, scan_all(vectors.view(), queries, {kRows, &rows})) == 0);
  CHECK(recall(living, scan_all(vectors.view(), queries, {10, &rows})) >= 0.97);
}

TEST_CASE("rows that get another key move there") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Keys keys = random_keys(kRows, 1, 3);
  RangeGraph graph(params());
  extend(graph, vectors.view(), keys);
  Random random(9);
  for (const std::size_t step : {500U, 7U, 2U, 1U}) {
    for (std::size_t slot = 0; slot < kRows; slot += step) keys[slot] = static_cast<std::int64_t>(random.below(kRows));
    extend(graph, vectors.view(), keys);
    CHECK(graph.nodes() == kRows);
    CHECK(checked_recall(graph, vectors.view(), keys) >= 0.96);
  }
  std::size_t twice = 0;
  for (Slot slot = 0; slot < kRows; ++slot) {
    for (std::size_t layer = 0; layer < graph.layer_count(); ++layer) {
      std::vector<Slot> edges = graph.neighbors(slot, layer);
      std::sort(edges.begin(), edges.end());
      twice += std::adjacent_find(edges.begin(), edges.end()) == edges.end() ? 0U : 1U;
    }
  }
  CHECK(twice == 0);
}

TEST_CASE("a graph that is told of what has changed is the one that is told of everything") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Keys keys = random_keys(kRows, 1, 3);
  RangeGraph told(params());
  RangeGraph compared(params());
  Random random(9);
  std::vector<Slot> some(1000);
  std::iota(some.begin(), some.end(), 0U);
  for (std::size_t n = 1000; n <= kRows; n += 250) {
    CHECK(extend_by(told, vectors.first(n), keys, some) == some.size());
    CHECK(extend(compared, vectors.first(n), keys) == some.size());
    CHECK((bytes_of_graph(told) == bytes_of_graph(compared)));
    std::vector<bool> chosen(n, false);
    for (std::size_t i = 0; i < 30; ++i) chosen[random.below(n)] = true;
    some.clear();
    for (std::size_t slot = 0; slot < std::min(n + 250, kRows); ++slot) {
      if (slot >= n || chosen[slot]) some.push_back(static_cast<Slot>(slot));
      if (slot < n && chosen[slot]) keys[slot] += 5 + static_cast<std::int64_t>(random.below(kRows));
    }
  }
}

TEST_CASE("other keys for the same order leave the edges as they are, but for rows that have moved") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Keys keys = random_keys(kRows, 2, 3);
  RangeGraph graph(params());
  extend(graph, vectors.view(), keys);
  std::vector<std::vector<Slot>> edges;
  for (Slot slot = 0; slot < kRows; ++slot) edges.push_back(graph.neighbors(slot, 1));
  for (auto& key : keys) key = 1'000'000 + 3 * key;
  std::vector<Slot> living;  // one row in seven has died since
  for (Slot slot = 0; slot < kRows; ++slot) {
    if (slot % 7 != 0) living.push_back(slot);
  }
  CHECK(extend_by(graph, vectors.view(), keys, living, true) == 0);
  graph.check("here");
  for (Slot slot = 0; slot < kRows; ++slot) REQUIRE(graph.neighbors(slot, 1) == edges[slot]);
  for (Slot slot = 0; slot < kRows; slot += 7) keys[slot] = -9;  // so that the range of what lives has no other row
  const Vectors queries = clustered_vectors(Metric::kL2, 30, kDim, 2);
  const KeyRange range{1'000'000, 1'002'000};
  const RowSet rows = rows_in(keys, range);
  const Answer found = search_range(graph, vectors.view(), queries, {.rows = &rows}, within(range, 60));
  CHECK(count_wrong(found, scan_all(vectors.view(), queries, {kRows, &rows})) == 0);
  CHECK(recall(found, scan_all(vectors.view(), queries, {10, &rows})) >= 0.96);

  for (std::size_t i = 1; i < 12; ++i) keys[living[i * 200]] = static_cast<std::int64_t>(i);  // before all the others
  const std::size_t moved = extend_by(graph, vectors.view(), keys, living, true);
  CHECK(moved >= 10);
  CHECK(moved <= 11);
  CHECK(graph.nodes() == kRows);
  graph.check("here");
}

TEST_CASE("a build cancelled at any moment leaves a graph that can be searched, saved and continued") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Keys keys = random_keys(kRows, 2, 3);
  std::vector<Slot> slots(kRows);
  std::iota(slots.begin(), slots.end(), 0U);
  RangeGraph graph(params());
  extend(graph, vectors.first(1000), keys);
  const auto cancelled_after = [&](std::size_t rows) {
    CancelToken token;
    const auto stop = [&](std::size_t done, std::size_t) {
      if (done >= rows) token.cancel();
    };
    CHECK_THROWS_AS(graph.extend(vectors.view(), {nullptr, slots, keys, false, nullptr, 0, &token, stop}), Cancelled);
    CHECK(checked_recall(graph, vectors.first(graph.covered()), keys) >= 0.95);
  };
  cancelled_after(1);
  cancelled_after(400);
  CHECK(graph.covered() == 1000);
  CHECK(graph.nodes() > 1400);
  const TemporaryFolder folder;
  graph.save(folder.file("partial"), {});
  const auto loaded = RangeGraph::load(folder.file("partial"));
  CHECK(loaded->covered() == 1000);
  CHECK(loaded->nodes() == graph.nodes());
  for (RangeGraph* each : {&graph, loaded.get()}) {
    extend(*each, vectors.view(), keys);
    CHECK(each->covered() == kRows);
    CHECK(each->nodes() == kRows);
    CHECK(checked_recall(*each, vectors.view(), keys) >= 0.975);
  }
  for (std::size_t slot = 0; slot < kRows; slot += 2) keys[slot] += 500;  // and rows on their way to another key
  cancelled_after(300);
  CHECK(graph.nodes() < kRows);
  extend(graph, vectors.view(), keys);
  CHECK(graph.nodes() == kRows);
  CHECK(checked_recall(graph, vectors.view(), keys) >= 0.96);
}

TEST_CASE("arguments that do not fit are refused") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 50, kDim, 1);
  const Keys keys = random_keys(50, 1, 3);
  CHECK_THROWS_AS(RangeGraph({kDim, Metric::kL2, 1, 80, 42}), InvalidArgument);
  CHECK_THROWS_AS(RangeGraph({kDim, Metric::kL2, 1025, 80, 42}), InvalidArgument);
  CHECK_THROWS_AS(RangeGraph({kDim, Metric::kL2, 12, 0, 42}), InvalidArgument);
  CHECK_THROWS_AS(RangeGraph({0, Metric::kL2, 12, 80, 42}), InvalidArgument);
  RangeGraph graph(params());
  CancelToken token;
  const auto refused = [&](const std::vector<Slot>& slots) {
    const RangeExtend given{nullptr, slots, std::span(keys).first(3), false, nullptr, 1, &token, {}};
    CHECK_THROWS_AS(graph.extend(vectors.view(), given), InvalidArgument);
  };
  refused({0, 1});
  refused({0, 1, 50});
  refused({0, 1, 1});
  const RowSet rows = RowSet::all(49);
  CHECK_THROWS_AS(extend(graph, vectors.view(), keys, 1, &rows), InvalidArgument);
  const Vectors others = clustered_vectors(Metric::kCosine, 50, kDim, 1);
  CHECK_THROWS_AS(extend(graph, others.view(), keys), InvalidArgument);
}

}  // namespace
}  // namespace vdb
