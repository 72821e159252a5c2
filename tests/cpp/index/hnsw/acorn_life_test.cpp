// An ACORN graph over its life: it grows, is saved and loaded, loses nodes and gets other slots.
#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <string>

#include "acorn_cases.h"
#include "base/error.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kDim = 8;

bool repair(Hnsw& graph, const VectorView& view, const RowSet& alive, std::size_t steps = kMaxSlots,
            std::size_t threads = 1) {
  CancelToken token;
  return graph.repair(view, {&alive, steps, threads, &token});
}

// Recall under random filters of a fifth of the living.
double filtered_recall(Hnsw& graph, const Vectors& vectors, const RowSet& alive) {
  const Vectors queries = clustered_vectors(vectors.metric, 150, kDim, 99);
  const RowSet rows = random_rows(vectors.n, 0.2, 5) & alive;
  const Ask ask{10, &rows, 1};
  const Answer answer = search_graph(graph, vectors.view(), queries, ask, as_published(48));
  return recall(answer, scan_all(vectors.view(), queries, ask));
}

TEST_CASE("a graph that grew in steps is sound and as good as one built at once") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 2500, kDim, 1);
  Hnsw graph(acorn_params(Metric::kL2, kDim));
  for (std::size_t covered = 1; covered < 2500; covered += covered < 20 ? 1 : 90) {
    extend(graph, vectors.first(covered));
    graph.check("here");
  }
  extend(graph, vectors.view());
  CHECK(unsound_rows(graph, vectors.view(), RowSet::all(2500)) == 0);
  Hnsw at_once(acorn_params(Metric::kL2, kDim));
  extend(at_once, vectors.view());
  const RowSet all = RowSet::all(2500);
  CHECK(filtered_recall(graph, vectors, all) >= filtered_recall(at_once, vectors, all) - 0.02);
}

TEST_CASE("a loaded graph is the one that was saved and grows as that would have") {
  const TemporaryFolder folder;
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, 1200, kDim, 1);
    Hnsw graph(acorn_params(metric, kDim, 5, 11));
    extend(graph, vectors.first(900), 0);
    const std::string path = folder.file(std::to_string(static_cast<int>(metric)).c_str());
    graph.save(path, {});
    const auto loaded = Hnsw::load(path);
    CHECK(loaded->params().gamma == 5);
    CHECK(loaded->params().m_beta == 11);
    for (Hnsw* each : {&graph, loaded.get()}) extend(*each, vectors.view());
    CHECK((bytes_of_graph(*loaded) == bytes_of_graph(graph)));
    CHECK(unsound_rows(*loaded, vectors.view(), RowSet::all(1200)) == 0);
  }
}

TEST_CASE("a snapshot whose rule of edges does not fit its rows is refused") {
  const TemporaryFolder folder;
  const Vectors vectors = clustered_vectors(Metric::kL2, 200, kDim, 1);
  Hnsw graph(acorn_params(Metric::kL2, kDim, 5, 11));
  extend(graph, vectors.view());
  graph.save(folder.file("good"), {});
  const Container good = Container::read(folder.file("good"));
  const Bytes rule = good.section("acorn");
  const auto blamed = [&](const std::function<void(std::vector<unsigned char>&)>& forge) -> std::string {
    std::vector<unsigned char> forged(rule.begin(), rule.end());
    forge(forged);
    std::vector<Section> sections;
    for (const char* tag : {"params", "levels", "base", "upper"}) sections.push_back({tag, good.section(tag)});
    if (!forged.empty()) sections.push_back({"acorn", forged});
    std::filesystem::remove(folder.file("forged"));
    write_container(folder.file("forged"), {}, sections);
    try {
      static_cast<void>(Hnsw::load(folder.file("forged")));
    } catch (const Corrupted& error) {
      return error.damage.section;
    }
    return "";
  };
  const auto with = [&](std::size_t at, std::uint32_t value) {
    return blamed([&](std::vector<unsigned char>& section) { std::memcpy(&section[at], &value, sizeof value); });
  };
  CHECK(blamed([](auto&) {}) == "");
  CHECK(blamed([](auto& section) { section.clear(); }) == "base");
  CHECK(blamed([](auto& section) { section.pop_back(); }) == "acorn");
  CHECK(blamed([](auto& section) { section.push_back(0); }) == "acorn");
  CHECK(with(0, 0) == "acorn");
  CHECK(with(0, 4) == "upper");
  CHECK(with(0, 0xffffffffU) == "params");
  CHECK(with(4, 12) == "base");
  CHECK(with(4, 0) == "params");
  CHECK(with(4, 0xffffffffU) == "params");
}

TEST_CASE("after a repair the dead have left, rows are in order, and the living are found as in a new graph") {
  for (const Metric metric : kMetrics) {
    CAPTURE(static_cast<int>(metric));
    const Vectors vectors = clustered_vectors(metric, 2500, kDim, 1);
    for (const double share : {0.01, 0.3, 0.7}) {
      CAPTURE(share);
      Hnsw graph(acorn_params(metric, kDim));
      extend(graph, vectors.view(), 0);
      const RowSet alive = RowSet::all(2500) - random_rows(2500, share, 3);
      CHECK(repair(graph, vectors.view(), alive));
      graph.check("here");
      CHECK(graph.nodes() == alive.count());
      CHECK(unsound_rows(graph, vectors.view(), alive) == 0);
      Hnsw fresh(graph.params());
      extend(fresh, vectors.view(), 0, &alive);
      CHECK(filtered_recall(graph, vectors, alive) >= filtered_recall(fresh, vectors, alive) - 0.02);
    }
  }
}

TEST_CASE("a whole region dies, rows come instead, and the rest is one graph") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 3000, kDim, 1);
  Hnsw graph(acorn_params(Metric::kL2, kDim));
  extend(graph, vectors.first(2500), 0);
  RowSet alive = RowSet::all(2500) - region(vectors, 800).resized(2500, false);
  CHECK(repair(graph, vectors.first(2500), alive));
  alive = alive.resized(3000, true);
  extend(graph, vectors.view(), 0, &alive);
  CHECK(unsound_rows(graph, vectors.view(), alive) == 0);
  Hnsw fresh(graph.params());
  extend(fresh, vectors.view(), 0, &alive);
  CHECK(filtered_recall(graph, vectors, alive) >= filtered_recall(fresh, vectors, alive) - 0.02);
}

TEST_CASE("a repair is the same for any number of threads and however it is sliced") {
  const TemporaryFolder folder;
  const Vectors vectors = clustered_vectors(Metric::kCosine, 2000, kDim, 1);
  const RowSet alive = RowSet::all(2000) - random_rows(2000, 0.4, 3);
  Hnsw torn(acorn_params(Metric::kCosine, kDim));
  extend(torn, vectors.view(), 0);
  torn.save(folder.file("torn"), {});
  std::vector<std::vector<unsigned char>> results;
  for (const auto& [steps, threads] :
       {std::pair(kMaxSlots, 1U), std::pair(kMaxSlots, 3U), std::pair(std::size_t{1}, 2U)}) {
    const auto graph = Hnsw::load(folder.file("torn"));
    while (!repair(*graph, vectors.view(), alive, steps, threads)) graph->check("here");
    results.push_back(bytes_of_graph(*graph));
  }
  CHECK((results[0] == results[1]));
  CHECK((results[0] == results[2]));
}

TEST_CASE("under other slot numbers it is the same graph") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 1000, kDim, 1);
  Hnsw graph(acorn_params(Metric::kL2, kDim));
  extend(graph, vectors.view(), 0);
  const RowSet alive = RowSet::all(1000) - random_rows(1000, 0.3, 3);
  CHECK(repair(graph, vectors.view(), alive));
  std::vector<Slot> numbers(1000, kAbsentSlot);
  std::vector<float> values;
  Slot next = 0;
  for (const Slot slot : alive.to_slots()) {
    numbers[slot] = next++;
    values.insert(values.end(), vectors.row(slot), vectors.row(slot) + kDim);
  }
  const Vectors moved(Metric::kL2, kDim, std::move(values));
  const auto renumbered = graph.renumbered(numbers, next);
  CHECK(renumbered->params().gamma == graph.params().gamma);
  CHECK(unsound_rows(*renumbered, moved.view(), RowSet::all(next)) == 0);
  std::size_t different = 0;
  for_each_row(graph, alive, [&](Slot slot, std::size_t level, std::vector<Slot> row) {
    for (Slot& neighbor : row) neighbor = numbers[neighbor];
    different += renumbered->neighbors(numbers[slot], level) == row ? 0U : 1U;
  });
  CHECK(different == 0);
}

}  // namespace
}  // namespace vdb
