// Cancellation in the middle of a build: what is finished stays, the graph is valid and can be continued.
#include <doctest/doctest.h>

#include <thread>

#include "answer.h"
#include "base/error.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::recall;
using testing::scan_all;
using testing::search_graph;
using testing::Vectors;
using testing::with_ef;

constexpr std::size_t kRows = 1500;

HnswParams params() { return {8, Metric::kL2, 8, 60, 42}; }

void check_prefix(Hnsw& graph, const Vectors& vectors) {
  graph.check("here");
  REQUIRE(graph.covered() < kRows);
  CHECK(graph.nodes() == graph.covered());
  const Vectors queries = clustered_vectors(Metric::kL2, 50, 8, 2);
  const auto answer = search_graph(graph, vectors.view(), queries, {}, with_ef(60));
  CHECK(recall(answer, scan_all(vectors.first(graph.covered()), queries, {})) >= 0.95);
}

void finish(Hnsw& graph, const Vectors& vectors) {
  testing::extend(graph, vectors.view(), 0);
  graph.check("here");
  CHECK(graph.covered() == kRows);
  CHECK(graph.nodes() == kRows);
  const Vectors queries = clustered_vectors(Metric::kL2, 50, 8, 2);
  const auto answer = search_graph(graph, vectors.view(), queries, {}, with_ef(60));
  CHECK(recall(answer, scan_all(vectors.view(), queries, {})) >= 0.97);
}

TEST_CASE("a build cancelled between batches keeps its prefix and can be continued") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, 8, 1);
  Hnsw graph(params());
  std::size_t reached = 0;
  for (const std::size_t stop : {100U, 101U, 700U}) {  // three times in a row
    CancelToken token;
    const auto stop_there = [&](std::size_t, std::size_t) {
      reached = graph.covered();
      if (reached >= stop) token.cancel();
    };
    CHECK_THROWS_AS(graph.extend(vectors.view(), {nullptr, 0, &token, stop_there}), Cancelled);
    CHECK(graph.covered() == reached);
    check_prefix(graph, vectors);
  }
  finish(graph, vectors);
}

TEST_CASE("a build whose progress report throws keeps its prefix and can be continued") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, 8, 1);
  Hnsw graph(params());
  CancelToken token;
  const auto refuse = [](std::size_t done, std::size_t) {
    if (done >= 300) throw std::out_of_range("enough");
  };
  CHECK_THROWS_AS(graph.extend(vectors.view(), {nullptr, 0, &token, refuse}), std::out_of_range);
  CHECK(graph.covered() >= 300);
  check_prefix(graph, vectors);
  finish(graph, vectors);
}

TEST_CASE("a build cancelled by another thread at any moment keeps its prefix and can be continued") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, 8, 1);
  for (const std::size_t moment : {1U, 50U, 400U}) {
    Hnsw graph(params());
    CancelToken token;
    std::thread canceller([&] {
      while (graph.covered() < moment) std::this_thread::yield();
      token.cancel();
    });
    bool cancelled = false;
    try {
      graph.extend(vectors.view(), {nullptr, 0, &token, {}});
    } catch (const Cancelled&) {
      cancelled = true;
    }
    canceller.join();
    if (cancelled) check_prefix(graph, vectors);  // a build that was done first is fine too
    finish(graph, vectors);
  }
}

TEST_CASE("a cancelled token stops a build before its first row") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, 8, 1);
  Hnsw graph(params());
  CancelToken token;
  token.cancel();
  CHECK_THROWS_AS(graph.extend(vectors.view(), {nullptr, 0, &token, {}}), Cancelled);
  CHECK(graph.covered() == 0);
  CHECK(graph.nodes() == 0);
  finish(graph, vectors);
}

TEST_CASE("rows that are not allowed stay out of a build that was cancelled and continued") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, 8, 1);
  std::vector<Slot> thirds;
  for (Slot slot = 0; slot < kRows; slot += 3) thirds.push_back(slot);
  const RowSet rows = RowSet::from_slots(thirds, kRows);
  Hnsw graph(params());
  CancelToken token;
  const auto stop = [&](std::size_t done, std::size_t) {
    if (done >= 200) token.cancel();
  };
  CHECK_THROWS_AS(graph.extend(vectors.view(), {&rows, 1, &token, stop}), Cancelled);
  CHECK(graph.nodes() == (graph.covered() + 2) / 3);
  testing::extend(graph, vectors.view(), 1, &rows);
  graph.check("here");
  CHECK(graph.nodes() == thirds.size());
}

}  // namespace
}  // namespace vdb
