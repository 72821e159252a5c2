#include <doctest/doctest.h>

#include "answer.h"
#include "base/error.h"
#include "index/hnsw/hnsw.h"
#include "io/file.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::extend;
using testing::kMetrics;
using testing::search_graph;
using testing::TemporaryFolder;
using testing::Vectors;
using testing::with_ef;

constexpr std::size_t kDim = 8;
constexpr std::size_t kRows = 1500;

HnswParams params(Metric metric) { return {kDim, metric, 8, 60, 42}; }

std::vector<unsigned char> bytes_of_graph(Hnsw& graph) {
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  return testing::read_file(folder.file("graph"));
}

RowSet every_third_dead() {
  std::vector<Slot> dead;
  for (Slot slot = 0; slot < kRows; slot += 3) dead.push_back(slot);
  return RowSet::all(kRows) - RowSet::from_slots(dead, kRows);
}

// Dense numbers for the rows of `alive`, in order.
std::vector<Slot> dense_numbers(const RowSet& alive) {
  std::vector<Slot> numbers(alive.size(), kAbsentSlot);
  Slot next = 0;
  for (const Slot slot : alive.to_slots()) numbers[slot] = next++;
  return numbers;
}

Vectors moved(const Vectors& vectors, const RowSet& alive) {
  std::vector<float> values;
  for (const Slot slot : alive.to_slots()) {
    values.insert(values.end(), vectors.row(slot), vectors.row(slot) + vectors.dim);
  }
  return {vectors.metric, vectors.dim, std::move(values)};
}

TEST_CASE("a repaired graph under dense numbers gives the same answers, is saved, and grows") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, kRows, kDim, 1);
    const Vectors queries = clustered_vectors(metric, 30, kDim, 2);
    const RowSet alive = every_third_dead();
    const std::vector<Slot> numbers = dense_numbers(alive);
    Hnsw graph(params(metric));
    extend(graph, vectors.view(), 0);
    CancelToken token;
    REQUIRE(graph.repair(vectors.view(), {&alive, kMaxSlots, 0, &token}));
    const auto dense = graph.renumbered(numbers, alive.count());
    dense->check("here");
    CHECK(dense->covered() == alive.count());
    CHECK(dense->nodes() == alive.count());
    CHECK(dense->max_level() == graph.max_level());
    const Vectors kept = moved(vectors, alive);
    auto before = search_graph(graph, vectors.view(), queries, {}, with_ef(40));
    for (Slot& slot : before.slots) slot = numbers[slot];
    CHECK((search_graph(*dense, kept.view(), queries, {}, with_ef(40)) == before));

    const TemporaryFolder folder;
    dense->save(folder.file("graph"), {});
    CHECK((bytes_of_graph(*Hnsw::load(folder.file("graph"))) == bytes_of_graph(*dense)));

    const Vectors more = clustered_vectors(metric, alive.count() + 400, kDim, 1);
    extend(*dense, more.view(), 0);
    dense->check("here");
    CHECK(dense->nodes() == more.n);
  }
}

TEST_CASE("dropped nodes that were not repaired before take their edges along") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const RowSet alive = every_third_dead();
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.view(), 0);
  const auto dense = graph.renumbered(dense_numbers(alive), alive.count());
  dense->check("here");
  CHECK(dense->nodes() == alive.count());
}

TEST_CASE("numbers may leave gaps, and rows beyond the graph stay beyond it") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.first(1000), 0);
  std::vector<Slot> numbers(kRows, kAbsentSlot);
  for (Slot slot = 100; slot < kRows; ++slot) numbers[slot] = slot - 50;
  const auto moved_down = graph.renumbered(numbers, kRows - 50);
  moved_down->check("here");
  CHECK(moved_down->covered() == 950);
  CHECK(moved_down->nodes() == 900);
  for (Slot slot = 1000; slot < kRows; ++slot) numbers[slot] = kAbsentSlot;
  CHECK(graph.renumbered(numbers, 950)->covered() == 950);
}

TEST_CASE("the same numbers give the same graph, no numbers an empty one") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.view(), 0);
  CHECK((bytes_of_graph(*graph.renumbered(dense_numbers(RowSet::all(kRows)), kRows)) == bytes_of_graph(graph)));
  const auto empty = graph.renumbered(std::vector<Slot>(kRows, kAbsentSlot), 0);
  empty->check("here");
  CHECK(empty->nodes() == 0);
  CHECK(empty->covered() == 0);
  extend(*empty, vectors.view(), 0);
  CHECK(empty->nodes() == kRows);
}

TEST_CASE("numbers that do not rise, reach too far or are too few are refused") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 4, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.view());
  const auto renumber = [&](const std::vector<Slot>& numbers, std::size_t slots) {
    static_cast<void>(graph.renumbered(numbers, slots));
  };
  CHECK_THROWS_WITH_AS(renumber({0, 1, 1, 2}, 4), "slot 2 becomes 1, expected a number from 2 to below 4",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(renumber({0, 1, 2, 4}, 4), "slot 3 becomes 4, expected a number from 3 to below 4",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(renumber({0, 1, 2}, 4), "numbers for 3 slots, the index covers 4", InvalidArgument);
}

}  // namespace
}  // namespace vdb
