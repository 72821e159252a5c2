#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "acorn_cases.h"
#include "base/error.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 4000;
constexpr std::size_t kQueries = 100;
constexpr std::size_t kDim = 8;

// What is wrong with an answer: rows that are not allowed, wrong distances, disorder, and queries with fewer rows than
// there are that are not reported as unfinished.
std::size_t count_wrong(const Answer& answer, const VectorView& view, const Vectors& queries, const RowSet& rows) {
  std::size_t wrong = 0;
  with_distance(view, queries.bytes(), [&]<class Distance>(const Distance&) {
    for (std::size_t q = 0; q < queries.n; ++q) {
      const Distance distance(view, queries.row(q));
      const std::vector<Slot> found = answer.found(q);
      for (std::size_t i = 0; i < found.size(); ++i) {
        const float d = answer.distances[q * answer.k + i];
        wrong += found[i] < view.n && rows.contains(found[i]) ? 0U : 1U;
        wrong += d == Distance::reported(distance(found[i])) ? 0U : 1U;
        wrong += i == 0 || d >= answer.distances[q * answer.k + i - 1] ? 0U : 1U;
      }
      const auto& unfinished = answer.stats.unfinished;
      const bool reported = std::find(unfinished.begin(), unfinished.end(), q) != unfinished.end();
      wrong += found.size() == answer.k || reported ? 0U : 1U;
    }
  });
  return wrong;
}

TEST_CASE("allowed rows only, exact distances, and what falls short is reported: every metric and selectivity") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, kRows, kDim, 1);
    const Vectors queries = clustered_vectors(metric, kQueries, kDim, 2);
    Hnsw graph(acorn_params(metric, kDim, 12, 16));
    extend(graph, vectors.view(), 0);
    for (const double share : {0.5, 0.2, 0.1, 0.01, 0.001}) {
      CAPTURE(static_cast<int>(metric));
      CAPTURE(share);
      const RowSet rows = random_rows(kRows, share, 7);
      const Ask ask{10, &rows, 1};
      const Answer answer = search_graph(graph, vectors.view(), queries, ask, as_published(64));
      CHECK(count_wrong(answer, vectors.view(), queries, rows) == 0);
      CHECK(answer.stats.distances < kRows * kQueries);
      // Down to 1 / gamma the nodes that pass are a graph.
      if (share >= 0.1) CHECK(recall(answer, scan_all(vectors.view(), queries, ask)) >= 0.92);
    }
  }
}

TEST_CASE("a region far from the way down is found or reported, and the node where the way ends is never an answer") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 2);
  Hnsw graph(acorn_params(Metric::kL2, kDim, 4, 8));
  extend(graph, vectors.view(), 0);
  std::size_t unfinished = 0;
  for (const std::size_t count : {1U, 20U, 200U, 1000U}) {
    const RowSet rows = region(vectors, count);
    const Answer answer = search_graph(graph, vectors.view(), queries, {10, &rows, 1}, as_published(32));
    CHECK(count_wrong(answer, vectors.view(), queries, rows) == 0);
    unfinished += answer.stats.unfinished.size();
  }
  CHECK(unfinished >= kQueries);  // at least those that only one row matches
}

TEST_CASE("no row, one row and all rows") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, kQueries, kDim, 2);
  Hnsw graph(acorn_params(Metric::kCosine, kDim));
  extend(graph, vectors.view(), 0);
  const RowSet none = RowSet::none(kRows);
  const Answer nothing = search_graph(graph, vectors.view(), queries, {10, &none, 1}, as_published(30));
  CHECK(nothing.stats.unfinished.size() == kQueries);
  CHECK(nothing.found(0).empty());
  const RowSet one = RowSet::from_range(17, 18, kRows);
  const Answer single = search_graph(graph, vectors.view(), queries, {1, &one, 1}, as_published(30));
  CHECK(count_wrong(single, vectors.view(), queries, one) == 0);
  const RowSet all = RowSet::all(kRows);
  const Answer full = search_graph(graph, vectors.view(), queries, {10, &all, 1}, as_published(100));
  CHECK(recall(full, scan_all(vectors.view(), queries, {})) >= 0.9);
  // Without a filter there is nothing to go by: the plain walk.
  const Answer plain = search_graph(graph, vectors.view(), queries, {}, as_published(100));
  CHECK((plain == search_graph(graph, vectors.view(), queries, {}, with_ef(100))));
  CHECK(recall(plain, scan_all(vectors.view(), queries, {})) >= 0.98);
}

TEST_CASE("the plain walk of the same graph finds what passes with a wider pool") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 2);
  Hnsw graph(acorn_params(Metric::kL2, kDim));
  extend(graph, vectors.view(), 0);
  const RowSet rows = random_rows(kRows, 0.2, 7);
  const Ask ask{10, &rows, 1};
  const Answer answer = search_graph(graph, vectors.view(), queries, ask, {64, 320, 0, kMaxSlots});
  CHECK(count_wrong(answer, vectors.view(), queries, rows) == 0);
  CHECK(recall(answer, scan_all(vectors.view(), queries, ask)) >= 0.98);
}

TEST_CASE("by codes, too") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, kRows, 128, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, kQueries, 128, 2);
  for (const auto& [kind, bits] : {std::pair(CodecKind::kSq8, 0U), std::pair(CodecKind::kRabitq, 4U)}) {
    HnswParams params = acorn_params(Metric::kCosine, 128, 12, 16);
    params.codes = kind;
    params.code_bits = bits;
    Hnsw graph(params);
    extend(graph, vectors.view(), 0);
    const RowSet rows = random_rows(kRows, 0.15, 7);
    const Ask ask{10, &rows, 1};
    const Answer answer = search_graph(graph, vectors.view(), queries, ask, as_published(120));
    CHECK(count_wrong(answer, vectors.view(), queries, rows) == 0);
    CHECK(answer.stats.estimates > answer.stats.distances);
    CHECK(recall(answer, scan_all(vectors.view(), queries, ask)) >= 0.9);
  }
}

TEST_CASE("gamma of 1 is searched over two hops everywhere") {
  const Vectors vectors = uniform_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = uniform_vectors(Metric::kL2, kQueries, kDim, 2);
  Hnsw graph(acorn_params(Metric::kL2, kDim, 1, 16));
  extend(graph, vectors.view(), 0);
  const RowSet rows = random_rows(kRows, 0.3, 7);
  const Ask ask{10, &rows, 1};
  const Answer answer = search_graph(graph, vectors.view(), queries, ask, as_published(64));
  CHECK(count_wrong(answer, vectors.view(), queries, rows) == 0);
  CHECK(recall(answer, scan_all(vectors.view(), queries, ask)) >= 0.9);
}

TEST_CASE("a limit, a budget and a graph of another rule") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 2);
  Hnsw graph(acorn_params(Metric::kL2, kDim));
  extend(graph, vectors.view(), 0);
  for (const std::size_t n : {1U, 100U, 2000U}) {
    const RowSet rows = random_rows(kRows, 0.5, 3) & RowSet::from_range(0, n, kRows);
    const HnswSearch how{40, 0, 0, n, Arm::kAcorn};
    const RowSet half = random_rows(kRows, 0.5, 3);
    const Answer answer = search_graph(graph, vectors.view(), queries, {10, &half, 1}, how);
    CHECK(count_wrong(answer, vectors.view(), queries, rows) == 0);
  }
  const RowSet rows = random_rows(kRows, 0.5, 3);
  const Answer cut = search_graph(graph, vectors.view(), queries, {10, &rows, 1}, {200, 0, 10, kMaxSlots, Arm::kAcorn});
  CHECK(cut.stats.unfinished.size() == kQueries);
  CHECK(cut.stats.distances < kQueries * 100);
  Hnsw ordinary({kDim, Metric::kL2, 8, 40, 42});
  extend(ordinary, vectors.view(), 0);
  CHECK_THROWS_WITH_AS(search_graph(ordinary, vectors.view(), queries, {10, &rows, 1}, as_published(30)),
                       "arm 'acorn' searches a graph that was built with gamma, this one was not: take arm 'plain'",
                       InvalidArgument);
}

TEST_CASE("searches beside a growing graph and repairs find rows that live") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 1500, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 5, kDim, 2);
  Hnsw graph(acorn_params(Metric::kL2, kDim, 4, 8));
  extend(graph, vectors.first(300), 0);
  std::atomic<std::size_t> dead{0};
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  const auto read = [&] {
    for (bool last = false; !last;) {
      last = done;
      const std::size_t covered = graph.covered();
      const RowSet rows = RowSet::from_range(dead, covered, covered);
      const VectorView view = vectors.first(covered);
      const HnswSearch how{20, 0, 0, covered, Arm::kAcorn};
      wrong += count_wrong(search_graph(graph, view, queries, {.rows = &rows}, how), view, queries, rows);
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) readers.emplace_back(read);
  CancelToken token;
  for (std::size_t n = 300; n <= 1500; n += 100) {
    dead = (n - 300) / 3;
    const RowSet alive = RowSet::from_range(dead, n, n);
    extend(graph, vectors.first(n), 2, &alive);
    graph.repair(vectors.first(n), {&alive, 500, 2, &token});
  }
  done = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
  graph.check("here");
}

}  // namespace
}  // namespace vdb
