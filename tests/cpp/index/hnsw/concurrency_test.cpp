// Searches beside the one writer. Mostly for the thread sanitizer: what it sees here is what the graph's comments
// claim.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "answer.h"
#include "core/distance.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::Answer;
using testing::clustered_vectors;
using testing::search_graph;
using testing::Vectors;
using testing::with_ef;

constexpr std::size_t kRows = 1200;
constexpr std::size_t kDim = 8;

// What is wrong with an answer over a table of `n` rows: slots outside, not allowed, out of order, wrong distances.
std::size_t count_wrong(const Answer& answer, const VectorView& view, const Vectors& queries, const RowSet& rows) {
  std::size_t wrong = 0;
  for (std::size_t q = 0; q < queries.n; ++q) {
    const CosineDistance distance(view, queries.row(q));
    float last = -1;
    std::size_t at = q * answer.k;
    for (const Slot slot : answer.found(q)) {
      const float d = answer.distances[at++];
      wrong += slot < view.n && rows.contains(slot) && d >= last && d == distance(slot) ? 0U : 1U;
      last = d;
    }
  }
  return wrong;
}

TEST_CASE("searches beside a growing graph see a valid prefix of it") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 5, kDim, 2);
  Hnsw graph({kDim, Metric::kCosine, 6, 30, 42});
  testing::extend(graph, vectors.first(100));
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  std::atomic<std::size_t> searches{0};

  const auto read = [&](std::size_t step) {
    // At least one search after the last row, however the threads are scheduled.
    for (bool last = false; !last;) {
      last = done;
      const std::size_t covered = graph.covered();
      std::vector<Slot> slots;
      for (std::size_t slot = 0; slot < covered; slot += step) slots.push_back(static_cast<Slot>(slot));
      const RowSet rows = RowSet::from_slots(slots, covered);
      const VectorView view = vectors.first(covered);
      const Answer filtered = search_graph(graph, view, queries, {.rows = &rows}, {20, 20 * step, 0, covered});
      const Answer plain = search_graph(graph, view, queries, {.threads = 0}, with_ef(20));
      wrong += count_wrong(filtered, view, queries, rows) + count_wrong(plain, view, queries, RowSet::all(covered));
      ++searches;
    }
  };
  std::vector<std::thread> readers;
  for (const std::size_t step : {1U, 2U, 5U}) readers.emplace_back(read, step);
  for (std::size_t n = 101; n <= kRows; n += n < 300 ? 1 : 75) testing::extend(graph, vectors.first(n), 0);
  testing::extend(graph, vectors.view(), 0);
  done = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(searches >= 3);
  graph.check("here");
}

TEST_CASE("saving, checking and measuring beside searches and a build do no harm") {
  const testing::TemporaryFolder folder;
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Hnsw graph({kDim, Metric::kL2, 6, 30, 42});
  std::atomic<bool> done{false};
  std::atomic<std::size_t> bad_snapshots{0};
  std::thread saver([&] {
    for (int round = 0; !done; ++round) {
      const std::string path = folder.file(std::to_string(round).c_str());
      graph.save(path, {});
      const auto loaded = Hnsw::load(path);  // load checks every invariant
      bad_snapshots += loaded->covered() <= kRows && loaded->nodes() == loaded->covered() ? 0U : 1U;
      graph.check("here");
      static_cast<void>(graph.memory_bytes());
    }
  });
  std::thread reader([&] {
    while (!done) search_graph(graph, vectors.view(), vectors, {}, {10, 10, 0, graph.covered()});
  });
  for (std::size_t n = 100; n <= kRows; n += 100) testing::extend(graph, vectors.first(n), 0);
  done = true;
  saver.join();
  reader.join();
  CHECK(bad_snapshots == 0);
}

TEST_CASE("searches beside repairs and a growing graph find rows that live, nearest first") {
  constexpr std::size_t kAhead = 600;  // rows before the first death
  const Vectors vectors = clustered_vectors(Metric::kCosine, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 5, kDim, 2);
  Hnsw graph({kDim, Metric::kCosine, 6, 30, 42});
  testing::extend(graph, vectors.first(kAhead), 0);
  std::atomic<std::size_t> dead{0};  // slots below have died, entry points first
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  const auto read = [&] {
    for (bool last = false; !last;) {
      last = done;
      const std::size_t covered = graph.covered();
      const RowSet rows = RowSet::from_range(dead, covered, covered);
      const VectorView view = vectors.first(covered);
      const Answer answer = search_graph(graph, view, queries, {.rows = &rows}, {20, 40, 0, covered});
      wrong += count_wrong(answer, view, queries, rows);
    }
  };
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) readers.emplace_back(read);
  CancelToken token;
  for (std::size_t n = kAhead; n <= kRows; n += 50) {
    dead = (n - kAhead) / 2;
    const RowSet alive = RowSet::from_range(dead, n, n);
    testing::extend(graph, vectors.first(n), 0, &alive);
    graph.repair(vectors.first(n), {&alive, 500, 0, &token});
  }
  const RowSet none = RowSet::none(kRows);
  while (!graph.repair(vectors.view(), {&none, 500, 0, &token})) graph.check("here");
  while (!graph.repair(vectors.view(), {&none, 500, 0, &token})) graph.check("here");
  done = true;
  for (auto& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(graph.nodes() == 0);
  graph.check("here");
}

TEST_CASE("two extensions at once take turns") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 600, kDim, 1);
  Hnsw graph({kDim, Metric::kL2, 6, 30, 42});
  std::vector<std::thread> writers;
  for (const std::size_t n : {600U, 400U, 600U}) {
    writers.emplace_back([&, n] { testing::extend(graph, vectors.first(n), 0); });
  }
  for (auto& writer : writers) writer.join();
  graph.check("here");
  CHECK(graph.covered() == 600);
  CHECK(graph.nodes() == 600);
}

}  // namespace
}  // namespace vdb
