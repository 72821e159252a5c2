// Packed neighbours follow the graph: inserts, repairs, snapshots, and the walks that cannot use them.
#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "answer.h"
#include "base/error.h"
#include "data.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kQueries = 50;
constexpr std::size_t kDim = 128;

HnswParams params(Metric metric) {
  HnswParams of{kDim, metric, 12, 100, 7};
  of.codes = CodecKind::kRabitq;
  of.code_bits = 1;
  of.packed = true;
  return of;
}

struct World {
  explicit World(Metric metric)
      : vectors(clustered_vectors(metric, kRows, kDim, 1)),
        queries(clustered_vectors(metric, kQueries, kDim, 2)),
        graph(params(metric)) {}

  double recall_of(const VectorView& view, const RowSet* rows = nullptr) {
    const Ask ask{10, rows, 1};
    return recall(search_graph(graph, view, queries, ask, with_ef(160)), scan_all(view, queries, ask));
  }

  Vectors vectors;
  Vectors queries;
  Hnsw graph;
};

bool repair_all(Hnsw& graph, const VectorView& view, const RowSet& alive) {
  CancelToken token;
  return graph.repair(view, {&alive, 1'000'000, 2, &token});
}

TEST_CASE("walks over packed neighbours find what is near, measure what they pop and estimate nothing else") {
  for (const Metric metric : kMetrics) {
    CAPTURE(name_of(metric));
    World world(metric);
    extend(world.graph, world.vectors.view(), 2);
    const Answer truth = scan_all(world.vectors.view(), world.queries, {});
    const Answer answer = search_graph(world.graph, world.vectors.view(), world.queries, {}, with_ef(160));
    CHECK(recall(answer, truth) >= 0.95);
    CHECK(answer.stats.estimates == 0);
    CHECK(answer.stats.distances < 400 * kQueries);
    for (std::size_t i = 0; i < truth.slots.size(); ++i) {
      if (answer.slots[i] == truth.slots[i]) CHECK(answer.distances[i] == truth.distances[i]);
    }
  }
}

TEST_CASE("blocks follow rows that come one commit after the other") {
  World world(Metric::kL2);
  for (const std::size_t rows : {std::size_t{1}, std::size_t{40}, std::size_t{1500}, std::size_t{1501}, kRows}) {
    CAPTURE(rows);
    extend(world.graph, world.vectors.first(rows), 2);
    const Answer own =
        search_graph(world.graph, world.vectors.first(rows), world.vectors, {1, nullptr, 1}, with_ef(64));
    std::size_t found = 0;
    for (std::size_t row = 0; row < rows; ++row) found += own.slots[row] == row ? 1U : 0U;
    CHECK(found * 100 >= rows * 99);
  }
  CHECK(world.recall_of(world.vectors.view()) >= 0.95);
}

TEST_CASE("a selective filter is walked by the codes of the nodes, a broad one by their blocks") {
  World world(Metric::kCosine);
  extend(world.graph, world.vectors.view(), 2);
  for (const std::size_t one_in : {std::size_t{2}, std::size_t{8}}) {
    std::vector<bool> kept(kRows);
    std::vector<Slot> slots;
    for (Slot slot = 0; slot < kRows; slot += static_cast<Slot>(one_in)) slots.push_back(slot);
    const RowSet rows = RowSet::from_slots(slots, kRows);
    const Ask ask{10, &rows, 1};
    const Answer answer =
        search_graph(world.graph, world.vectors.view(), world.queries, ask, {160, 160 * one_in, 0, kMaxSlots});
    CHECK((answer.stats.estimates > 0) == (one_in == 8));
    CHECK(recall(answer, scan_all(world.vectors.view(), world.queries, ask)) >= 0.95);
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (const Slot slot : answer.found(q)) CHECK(rows.contains(slot));
    }
  }
}

TEST_CASE("after a repair no block leads to a node that left") {
  World world(Metric::kInnerProduct);
  extend(world.graph, world.vectors.view(), 2);
  std::vector<Slot> alive;
  for (Slot slot = 0; slot < kRows; ++slot) {
    if (slot % 3 != 0) alive.push_back(slot);
  }
  const RowSet rows = RowSet::from_slots(alive, kRows);
  while (!repair_all(world.graph, world.vectors.view(), rows)) {
  }
  const Answer answer = search_graph(world.graph, world.vectors.view(), world.queries, {}, with_ef(160));
  for (const Slot slot : answer.slots) CHECK(rows.contains(slot));
  CHECK(world.recall_of(world.vectors.view(), &rows) >= 0.95);
}

TEST_CASE("a graph comes back from its snapshot and packs its blocks when it is extended") {
  const TemporaryFolder folder;
  World world(Metric::kL2);
  extend(world.graph, world.vectors.view());
  const Answer expected = search_graph(world.graph, world.vectors.view(), world.queries, {}, with_ef(80));
  world.graph.save(folder.file("graph.idx"), {});
  const auto loaded = Hnsw::load(folder.file("graph.idx"));
  CHECK(loaded->params().packed);
  CHECK(search_graph(*loaded, world.vectors.view(), world.queries, {}, with_ef(80)).stats.estimates > 0);
  extend(*loaded, world.vectors.view());
  CHECK(search_graph(*loaded, world.vectors.view(), world.queries, {}, with_ef(80)) == expected);
}

TEST_CASE("searches go on while blocks are made") {
  World world(Metric::kL2);
  extend(world.graph, world.vectors.first(500));
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> wrong{0};
  std::thread reader([&] {
    while (!stop) {
      const Answer answer = search_graph(world.graph, world.vectors.first(500), world.queries, {}, with_ef(40));
      for (const Slot slot : answer.slots) wrong += slot >= 500 ? 1U : 0U;
    }
  });
  for (std::size_t rows = 600; rows <= 1500; rows += 100) extend(world.graph, world.vectors.first(rows));
  stop = true;
  reader.join();
  CHECK(wrong == 0);
}

TEST_CASE("packed neighbours of another version are refused") {
  const TemporaryFolder folder;
  World world(Metric::kL2);
  extend(world.graph, world.vectors.first(50));
  world.graph.save(folder.file("graph.idx"), {});
  const Container file = Container::read(folder.file("graph.idx"));
  const std::uint32_t version = 2;
  const auto other = bytes_of(std::span(&version, 1));
  for (const Bytes packed : {other, other.first(3), Bytes()}) {
    std::vector<Section> sections;
    for (const char* tag : {"params", "levels", "base", "upper", "codes", "codec", "records"}) {
      sections.push_back({tag, file.section(tag)});
    }
    sections.push_back({"packed", packed});
    const std::string path = folder.file("forged.idx");
    std::filesystem::remove(path);
    write_container(path, {}, sections);
    CHECK_THROWS_WITH_AS(Hnsw::load(path), doctest::Contains("packed"), Corrupted);
  }
}

TEST_CASE("packed neighbours without codes are refused") {
  HnswParams of = params(Metric::kL2);
  of.codes.reset();
  CHECK_THROWS_AS(Hnsw{of}, InvalidArgument);
}

}  // namespace
}  // namespace vdb
