#include <doctest/doctest.h>

#include <set>

#include "answer.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::extend;
using testing::kMetrics;
using testing::read_file;
using testing::recall;
using testing::scan_all;
using testing::search_graph;
using testing::TemporaryFolder;
using testing::uniform_vectors;
using testing::Vectors;
using testing::with_ef;

HnswParams small_params(Metric metric, std::size_t dim) { return {dim, metric, 8, 60, 42}; }

// Everything that makes up a graph, as bytes.
std::vector<unsigned char> bytes_of_graph(Hnsw& graph) {
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  return read_file(folder.file("graph"));
}

double recall_of(Hnsw& graph, const Vectors& vectors, const Vectors& queries, std::size_t ef) {
  const auto truth = scan_all(vectors.view(), queries, {});
  return recall(search_graph(graph, vectors.view(), queries, {}, with_ef(ef)), truth);
}

// The slots that can be reached on level 0 from `from`.
std::size_t reachable(Hnsw& graph, Slot from) {
  std::set<Slot> seen{from};
  std::vector<Slot> open{from};
  while (!open.empty()) {
    const Slot slot = open.back();
    open.pop_back();
    for (const Slot neighbor : graph.neighbors(slot, 0)) {
      if (seen.insert(neighbor).second) open.push_back(neighbor);
    }
  }
  return seen.size();
}

TEST_CASE("a new graph covers nothing, is valid and answers nothing") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 5, 3, 1);
  Hnsw graph(small_params(Metric::kL2, 3));
  CHECK(graph.covered() == 0);
  CHECK(graph.nodes() == 0);
  CHECK(graph.max_level() == 0);
  CHECK_NOTHROW(graph.check("here"));
  CHECK(search_graph(graph, vectors.view(), vectors, {}, with_ef(10)).found(0).empty());
  extend(graph, vectors.first(0));
  CHECK(graph.covered() == 0);
}

TEST_CASE("one row is found from anywhere") {
  const Vectors vectors = uniform_vectors(Metric::kCosine, 1, 3, 1);
  Hnsw graph(small_params(Metric::kCosine, 3));
  extend(graph, vectors.view());
  graph.check("here");
  CHECK(graph.nodes() == 1);
  const Vectors queries = uniform_vectors(Metric::kCosine, 4, 3, 2);
  const auto answer = search_graph(graph, vectors.view(), queries, {}, with_ef(10));
  for (std::size_t q = 0; q < 4; ++q) CHECK(answer.found(q) == std::vector<Slot>{0});
}

TEST_CASE("while ef is not below the number of rows the search is exact") {
  for (const Metric metric : kMetrics) {
    for (const std::size_t n : {2U, 9U, 33U, 150U}) {
      const Vectors vectors = uniform_vectors(metric, n, 6, n);
      const Vectors queries = uniform_vectors(metric, 10, 6, n + 1);
      Hnsw graph(small_params(metric, 6));
      extend(graph, vectors.view());
      const auto answer = search_graph(graph, vectors.view(), queries, {.k = 150}, with_ef(150));
      CHECK((answer == scan_all(vectors.view(), queries, {.k = 150})));
    }
  }
}

TEST_CASE("the graph is the same for any number of threads") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, 1500, 8, 1);
    Hnsw one(small_params(metric, 8));
    Hnsw all(small_params(metric, 8));
    extend(one, vectors.view(), 1);
    extend(all, vectors.view(), 0);
    one.check("one");
    CHECK((bytes_of_graph(one) == bytes_of_graph(all)));
  }
}

TEST_CASE("another seed makes another graph, the same seed the same") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 300, 8, 1);
  Hnsw a({8, Metric::kL2, 8, 60, 1});
  Hnsw again({8, Metric::kL2, 8, 60, 1});
  Hnsw b({8, Metric::kL2, 8, 60, 2});
  for (Hnsw* graph : {&a, &again, &b}) extend(*graph, vectors.view());
  CHECK((bytes_of_graph(a) == bytes_of_graph(again)));
  CHECK_FALSE((bytes_of_graph(a) == bytes_of_graph(b)));
}

TEST_CASE("levels thin out by M, degrees stay within M and 2M, and edges join nodes of their level") {
  constexpr std::size_t kM = 4;
  const Vectors vectors = uniform_vectors(Metric::kL2, 4000, 4, 1);
  Hnsw graph({4, Metric::kL2, kM, 20, 7});
  extend(graph, vectors.view());
  graph.check("here");
  std::vector<std::size_t> on_level(graph.max_level() + 1);
  std::size_t too_many = 0;
  for (Slot slot = 0; slot < vectors.n; ++slot) {
    for (std::size_t level = 0; level <= graph.max_level(); ++level) {
      try {
        too_many += graph.neighbors(slot, level).size() > (level == 0 ? 2 * kM : kM) ? 1U : 0U;
      } catch (const InvalidArgument&) {
        break;
      }
      ++on_level[level];
    }
  }
  CHECK(too_many == 0);
  CHECK(on_level[0] == 4000);
  CHECK(on_level[1] == doctest::Approx(1000).epsilon(0.1));
  CHECK(on_level[2] == doctest::Approx(250).epsilon(0.2));
  CHECK(on_level.back() >= 1);
}

TEST_CASE("every node can be reached on level 0") {
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    const Vectors vectors = uniform_vectors(metric, 2000, 6, 1);
    Hnsw graph(small_params(metric, 6));
    extend(graph, vectors.view(), 0);
    CHECK(reachable(graph, 0) == 2000);
  }
}

TEST_CASE("a graph that grew in steps is valid and as good as one built at once") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 2000, 8, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 100, 8, 2);
  Hnsw graph(small_params(Metric::kL2, 8));
  std::size_t covered = 0;
  for (const std::size_t step : {1U, 1U, 1U, 2U, 5U, 90U, 400U}) {
    covered += step;
    extend(graph, vectors.first(covered));
    CHECK(graph.covered() == covered);
    CHECK(graph.nodes() == covered);
    graph.check("here");
  }
  for (; covered < 800; ++covered) extend(graph, vectors.first(covered + 1));
  extend(graph, vectors.view());
  graph.check("here");
  Hnsw at_once(small_params(Metric::kL2, 8));
  extend(at_once, vectors.view());
  CHECK(recall_of(graph, vectors, queries, 40) >= recall_of(at_once, vectors, queries, 40) - 0.01);
}

TEST_CASE("only allowed rows become nodes, and the others are covered all the same") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 600, 5, 1);
  std::vector<Slot> odd;
  for (Slot slot = 1; slot < 600; slot += 2) odd.push_back(slot);
  const RowSet rows = RowSet::from_slots(odd, 600);
  Hnsw graph(small_params(Metric::kL2, 5));
  const RowSet head = rows.resized(301, false);
  extend(graph, vectors.first(301), 1, &head);
  CHECK(graph.covered() == 301);
  CHECK(graph.nodes() == 150);
  extend(graph, vectors.view(), 1, &rows);
  graph.check("here");
  CHECK(graph.covered() == 600);
  CHECK(graph.nodes() == 300);
  CHECK_THROWS_WITH_AS(graph.neighbors(4, 0), "slot 4 is not on level 0", InvalidArgument);
  const auto answer = search_graph(graph, vectors.view(), vectors, {}, with_ef(60));
  CHECK(std::none_of(answer.slots.begin(), answer.slots.end(), [](Slot slot) { return slot % 2 == 0; }));
}

TEST_CASE("rows of which none is allowed are covered without a node") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 50, 5, 1);
  const RowSet none = RowSet::none(50);
  Hnsw graph(small_params(Metric::kL2, 5));
  extend(graph, vectors.view(), 1, &none);
  CHECK(graph.covered() == 50);
  CHECK(graph.nodes() == 0);
  graph.check("here");
  CHECK(search_graph(graph, vectors.view(), vectors, {}, with_ef(10)).found(0).empty());
}

TEST_CASE("rows that are covered are not inserted again") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 100, 5, 1);
  Hnsw graph(small_params(Metric::kL2, 5));
  extend(graph, vectors.view());
  const auto before = bytes_of_graph(graph);
  extend(graph, vectors.view());
  extend(graph, vectors.first(60));
  CHECK(graph.covered() == 100);
  CHECK((bytes_of_graph(graph) == before));
}

TEST_CASE("rows that overflow to an infinite distance are inserted and found") {
  std::vector<float> values;
  for (int i = 0; i < 60; ++i) values.insert(values.end(), {i % 2 == 0 ? 3e38F : -3e38F, static_cast<float>(i)});
  const Vectors vectors(Metric::kL2, 2, std::move(values));
  Hnsw graph(small_params(Metric::kL2, 2));
  extend(graph, vectors.view(), 0);
  graph.check("here");
  const auto answer = search_graph(graph, vectors.view(), vectors, {.k = 60}, with_ef(60));
  for (std::size_t q = 0; q < vectors.n; ++q) CHECK(answer.found(q).front() == q);
}

TEST_CASE("many copies of one row make a valid graph that returns copies") {
  const Vectors vectors(Metric::kL2, 2, std::vector<float>(800, 1.5F));
  Hnsw graph(small_params(Metric::kL2, 2));
  extend(graph, vectors.view(), 0);
  graph.check("here");
  const auto answer = search_graph(graph, vectors.view(), vectors, {.k = 10}, with_ef(50));
  for (std::size_t q = 0; q < vectors.n; ++q) CHECK(answer.found(q).size() == 10);
}

TEST_CASE("progress is reported on the calling thread, rising to the total") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 1000, 4, 1);
  Hnsw graph(small_params(Metric::kL2, 4));
  CancelToken token;
  std::vector<std::size_t> reports;
  bool sound = true;
  graph.extend(vectors.view(), {nullptr, 0, &token, [&, caller = std::this_thread::get_id()](auto done, auto total) {
                                  sound = sound && total == 1000 && std::this_thread::get_id() == caller;
                                  reports.push_back(done);
                                }});
  CHECK(sound);
  CHECK(std::is_sorted(reports.begin(), reports.end()));
  CHECK(reports.back() == 1000);
}

TEST_CASE("memory grows with the rows") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 1000, 4, 1);
  Hnsw graph(small_params(Metric::kL2, 4));
  extend(graph, vectors.first(10));
  const std::size_t small = graph.memory_bytes();
  extend(graph, vectors.view());
  CHECK(graph.memory_bytes() >= 1000 * 2 * 8 * sizeof(Slot));
  CHECK(graph.memory_bytes() > small);
}

TEST_CASE("parameters out of range are refused with their value") {
  const auto make = [](std::size_t dim, std::size_t M, std::size_t ef) { Hnsw({dim, Metric::kL2, M, ef, 1}); };
  CHECK_THROWS_WITH_AS(make(4, 1, 10), "M must be from 2 to 1024, got 1", InvalidArgument);
  CHECK_THROWS_AS(make(4, 0, 10), InvalidArgument);
  CHECK_THROWS_AS(make(4, 1025, 10), InvalidArgument);
  CHECK_THROWS_AS(make(4, 16, 0), InvalidArgument);
  CHECK_THROWS_AS(make(4, 16, 100'001), InvalidArgument);
  CHECK_THROWS_AS(make(0, 16, 10), InvalidArgument);
  CHECK_THROWS_AS(make(65'536, 16, 10), InvalidArgument);
  CHECK_NOTHROW(make(1, 2, 1));
}

TEST_CASE("the least parameters there are still make a graph that works") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 300, 1, 1);
  Hnsw graph({1, Metric::kL2, 2, 1, 1});
  extend(graph, vectors.view(), 0);
  graph.check("here");
  CHECK(search_graph(graph, vectors.view(), vectors, {.k = 1}, with_ef(300)).found(0).size() == 1);
}

TEST_CASE("vectors of another dim, metric or row set are refused and change nothing") {
  Hnsw graph(small_params(Metric::kL2, 5));
  extend(graph, uniform_vectors(Metric::kL2, 20, 5, 1).view());
  const auto before = bytes_of_graph(graph);
  const Vectors narrow = uniform_vectors(Metric::kL2, 50, 4, 1);
  const Vectors cosine = uniform_vectors(Metric::kCosine, 50, 5, 1);
  const Vectors good = uniform_vectors(Metric::kL2, 50, 5, 1);
  const RowSet short_rows = RowSet::all(49);
  CHECK_THROWS_WITH_AS(extend(graph, narrow.view()), "the vectors have 4 dimensions, the graph 5", InvalidArgument);
  CHECK_THROWS_WITH_AS(extend(graph, cosine.view()), "the vectors are bound to metric cosine, the graph to l2",
                       InvalidArgument);
  CHECK_THROWS_AS(extend(graph, good.view(), 1, &short_rows), InvalidArgument);
  CHECK((bytes_of_graph(graph) == before));
}

}  // namespace
}  // namespace vdb
