// Searches beside the one writer. Mostly for the thread sanitizer: what it sees here is what the graph's comments
// claim.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "range_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 1500;
constexpr std::size_t kDim = 8;

TEST_CASE("searches beside a growing graph whose rows move find rows that are allowed, nearest first") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 4, kDim, 2);
  Keys keys = random_keys(kRows, 2, 3);
  RangeGraph graph({kDim, Metric::kL2, 6, 30, 42});
  extend(graph, vectors.first(100), keys);
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  const auto read = [&](std::size_t step) {
    for (bool last = false; !last;) {
      last = done;
      const std::size_t covered = graph.covered();
      std::vector<Slot> slots;
      for (std::size_t slot = 0; slot < covered; slot += step) slots.push_back(static_cast<Slot>(slot));
      const RowSet rows = RowSet::from_slots(slots, covered);
      const VectorView view = vectors.first(covered);
      const RangeSearch how = within({-400, 400}, 20);
      const Answer found = search_range(graph, view, queries, {5, &rows}, how);
      const Answer all = scan_all(view, queries, {covered, &rows});
      for (std::size_t q = 0; q < queries.n; ++q) {
        const std::vector<Slot> allowed = all.found(q);
        for (std::size_t i = 0; i < found.found(q).size(); ++i) {
          const Slot slot = found.found(q)[i];
          const bool known = std::find(allowed.begin(), allowed.end(), slot) != allowed.end();
          const bool rises = i == 0 || found.distances[q * 5 + i] >= found.distances[q * 5 + i - 1];
          wrong += known && rises ? 0U : 1U;
        }
      }
      static_cast<void>(search_range(graph, view, queries, {.threads = 0}, how));
    }
  };
  std::vector<std::thread> readers;
  for (const std::size_t step : {1U, 2U, 9U}) readers.emplace_back(read, step);
  std::thread saver([&] {
    const TemporaryFolder folder;
    for (int round = 0; !done; ++round) {
      const std::string path = folder.file(std::to_string(round).c_str());
      graph.save(path, {});
      graph.check(path);
      static_cast<void>(graph.memory_bytes());
      wrong += RangeGraph::load(path)->covered() <= kRows ? 0U : 1U;
    }
  });
  for (std::size_t n = 101; n <= kRows; n += n < 250 ? 1 : 75) {
    keys[n / 2] += 30;
    extend(graph, vectors.first(n), keys, 0);
  }
  extend(graph, vectors.view(), keys, 0);
  done = true;
  for (auto& reader : readers) reader.join();
  saver.join();
  CHECK(wrong == 0);
  CHECK(graph.nodes() == kRows);
  graph.check("here");
}

}  // namespace
}  // namespace vdb
