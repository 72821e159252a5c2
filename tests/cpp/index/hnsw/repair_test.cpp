// Dead nodes leave the graph: what stays is valid, reachable and found as in a graph built anew.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

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
using testing::Random;
using testing::recall;
using testing::scan_all;
using testing::search_graph;
using testing::TemporaryFolder;
using testing::uniform_vectors;
using testing::Vectors;
using testing::with_ef;

constexpr std::size_t kAll = kMaxSlots;
constexpr std::size_t kDim = 8;

HnswParams params(Metric metric) { return {kDim, metric, 8, 60, 42}; }

bool repair(Hnsw& graph, const VectorView& view, const RowSet& alive, std::size_t steps = kAll,
            std::size_t threads = 1) {
  CancelToken token;
  return graph.repair(view, {&alive, steps, threads, &token});
}

std::vector<unsigned char> bytes_of_graph(Hnsw& graph) {
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  return testing::read_file(folder.file("graph"));
}

RowSet without(const RowSet& rows, const std::vector<Slot>& dead) {
  return rows - RowSet::from_slots(dead, rows.size());
}

// `count` of the rows that `alive` holds.
std::vector<Slot> choose(const RowSet& alive, std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<Slot> slots = alive.to_slots();
  for (std::size_t i = 0; i < count; ++i) std::swap(slots[i], slots[i + random.below(slots.size() - i)]);
  slots.resize(count);
  return slots;
}

// The `count` rows nearest to row `centre`.
std::vector<Slot> neighborhood(const Vectors& vectors, Slot centre, std::size_t count) {
  std::vector<Slot> slots(vectors.n);
  std::iota(slots.begin(), slots.end(), Slot{0});
  const auto distance = [&](Slot slot) {
    double sum = 0;
    for (std::size_t d = 0; d < vectors.dim; ++d) {
      const double difference = double{vectors.row(slot)[d]} - double{vectors.row(centre)[d]};
      sum += difference * difference;
    }
    return sum;
  };
  std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return distance(a) < distance(b); });
  slots.resize(count);
  return slots;
}

// A snapshot is read back, which compares its entry points with its levels and checks every edge.
void check_sound(Hnsw& graph, const RowSet& alive) {
  graph.check("here");
  CHECK(graph.nodes() == alive.count());
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  const auto loaded = Hnsw::load(folder.file("graph"));
  CHECK(loaded->nodes() == alive.count());
  CHECK(loaded->max_level() == graph.max_level());
  CHECK((bytes_of_graph(*loaded) == bytes_of_graph(graph)));
  for (const Slot dead : choose(~alive, std::min<std::size_t>(30, (~alive).count()), 1)) {
    CHECK_THROWS_AS(graph.neighbors(dead, 0), InvalidArgument);
  }
}

// The nodes that can be reached on level 0 from a node of the highest level.
std::size_t reachable(Hnsw& graph, const RowSet& alive) {
  std::vector<Slot> open;
  for (const Slot slot : alive.to_slots()) {
    try {
      graph.neighbors(slot, graph.max_level());
      open.push_back(slot);
      break;
    } catch (const InvalidArgument&) {
      continue;
    }
  }
  std::set<Slot> seen(open.begin(), open.end());
  while (!open.empty()) {
    const Slot slot = open.back();
    open.pop_back();
    for (const Slot neighbor : graph.neighbors(slot, 0)) {
      if (seen.insert(neighbor).second) open.push_back(neighbor);
    }
  }
  return seen.size();
}

double recall_of(Hnsw& graph, const Vectors& vectors, const RowSet& alive, std::size_t ef) {
  const Vectors queries = clustered_vectors(vectors.metric, 200, kDim, 99);
  const testing::Ask ask{.rows = &alive};
  return recall(search_graph(graph, vectors.view(), queries, ask, with_ef(ef)), scan_all(vectors.view(), queries, ask));
}

void check_as_good_as_new(Hnsw& graph, const Vectors& vectors, const RowSet& alive, double margin = 0.01) {
  Hnsw fresh(graph.params());
  extend(fresh, vectors.view(), 0, &alive);
  CHECK(reachable(graph, alive) >= reachable(fresh, alive));
  for (const std::size_t ef : {15U, 40U}) {
    CAPTURE(ef);
    CHECK(recall_of(graph, vectors, alive, ef) >= recall_of(fresh, vectors, alive, ef) - margin);
  }
}

TEST_CASE("after a repair the dead have left and the living are reached and found as in a new graph") {
  for (const Metric metric : kMetrics) {
    CAPTURE(static_cast<int>(metric));
    const Vectors vectors = clustered_vectors(metric, 2000, kDim, 1);
    for (const std::size_t dead : {1U, 200U, 600U, 1600U}) {
      CAPTURE(dead);
      Hnsw graph(params(metric));
      extend(graph, vectors.view(), 0);
      const RowSet alive = without(RowSet::all(2000), choose(RowSet::all(2000), dead, dead));
      CHECK(repair(graph, vectors.view(), alive));
      check_sound(graph, alive);
      check_as_good_as_new(graph, vectors, alive);
    }
  }
}

TEST_CASE("rows die and come for five rounds, repaired in between, and the graph stays as good as a new one") {
  constexpr std::size_t kRows = 2000;
  constexpr std::size_t kChurn = 600;
  constexpr std::size_t kRounds = 5;
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows + kRounds * kChurn, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.first(kRows), 0);
  RowSet alive = RowSet::all(kRows);
  for (std::size_t round = 1; round <= kRounds; ++round) {
    alive = without(alive, choose(alive, kChurn, round));
    CHECK(repair(graph, vectors.first(alive.size()), alive));
    alive = alive.resized(kRows + round * kChurn, true);
    extend(graph, vectors.first(alive.size()), 0, &alive);
    check_sound(graph, alive);
  }
  check_as_good_as_new(graph, vectors, alive);
}

TEST_CASE("a whole region dies and the rest stays one graph") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 3000, kDim, 1);
  // One of the 20 clouds, and many around one: a third of the queries then lies in a void, where rows are far and a
  // small beam finds its way less well than in a graph that never had anything there.
  for (const auto& [dead, margin] : {std::pair(150U, 0.01), std::pair(1000U, 0.03), std::pair(2000U, 0.03)}) {
    CAPTURE(dead);
    Hnsw graph(params(Metric::kL2));
    extend(graph, vectors.view(), 0);
    const RowSet alive = without(RowSet::all(3000), neighborhood(vectors, 7, dead));
    CHECK(repair(graph, vectors.view(), alive));
    check_sound(graph, alive);
    CHECK(reachable(graph, alive) == alive.count());
    check_as_good_as_new(graph, vectors, alive, margin);
  }
}

TEST_CASE("what only the dead held together is linked again") {
  // Two ends of a line, and the middle between them dies.
  std::vector<float> values;
  for (int i = 0; i < 600; ++i) values.push_back(static_cast<float>(i));
  const Vectors vectors(Metric::kL2, 1, std::move(values));
  Hnsw graph({1, Metric::kL2, 4, 20, 42});
  extend(graph, vectors.view());
  const RowSet alive = RowSet::from_range(0, 30, 600) | RowSet::from_range(570, 600, 600);
  CHECK(repair(graph, vectors.view(), alive));
  check_sound(graph, alive);
  CHECK(reachable(graph, alive) == 60);
}

TEST_CASE("a repair is the same for any number of threads and however it is sliced") {
  for (const Metric metric : kMetrics) {
    const TemporaryFolder folder;
    const std::string path = folder.file("graph");
    const Vectors vectors = clustered_vectors(metric, 2500, kDim, 1);
    const RowSet alive = without(RowSet::all(2500), choose(RowSet::all(2500), 800, 5));
    Hnsw torn(params(metric));
    extend(torn, vectors.view(), 0);
    torn.save(path, {});
    std::vector<std::vector<unsigned char>> results;
    const auto try_with = [&](std::size_t threads, std::size_t steps) {
      const auto graph = Hnsw::load(path);
      std::size_t slices = 1;
      while (!repair(*graph, vectors.view(), alive, steps, threads)) ++slices;
      CHECK((steps == kAll) == (slices == 1));
      results.push_back(bytes_of_graph(*graph));
    };
    try_with(1, kAll);
    try_with(2, kAll);
    try_with(0, 1500);
    try_with(1, 1);
    for (const auto& result : results) CHECK((result == results.front()));
  }
}

TEST_CASE("the graph is valid and finds the living after every slice, and rows come and die meanwhile") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, 5000, kDim, 1);
  Hnsw graph(params(Metric::kCosine));
  extend(graph, vectors.first(4000), 0);
  RowSet alive = without(RowSet::all(4000), choose(RowSet::all(4000), 1200, 3));
  bool done = false;
  for (std::size_t n = 4000; !done; n = std::min<std::size_t>(n + 50, 5000)) {
    alive = without(alive.resized(n, true), choose(alive, 5, n));
    extend(graph, vectors.first(n), 0, &alive);
    done = repair(graph, vectors.first(n), alive, 200);
    graph.check("here");
    const Vectors queries = clustered_vectors(Metric::kCosine, 20, kDim, 99);
    const testing::Ask ask{.rows = &alive};
    const auto answer = search_graph(graph, vectors.first(n), queries, ask, {60, 120, 0, n});
    CHECK(recall(answer, scan_all(vectors.first(n), queries, ask)) >= 0.95);
  }
  // Those that died after the first slice are still there, and leave with the next repair.
  CHECK(graph.nodes() > alive.count());
  CHECK(repair(graph, vectors.first(alive.size()), alive));
  check_sound(graph, alive);
}

TEST_CASE("dead entry points are followed by living nodes of the highest level there is") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 2000, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.view(), 0);
  RowSet alive = RowSet::all(2000);
  std::size_t falls = 0;
  while (graph.max_level() > 0) {
    const std::size_t top = graph.max_level();
    std::vector<Slot> highest;
    for (const Slot slot : alive.to_slots()) {
      try {
        graph.neighbors(slot, top);
        highest.push_back(slot);
      } catch (const InvalidArgument&) {
        continue;
      }
    }
    alive = without(alive, highest);
    CHECK(repair(graph, vectors.view(), alive));
    CHECK(graph.max_level() < top);
    check_sound(graph, alive);
    ++falls;
  }
  CHECK(falls >= 2);
  CHECK(reachable(graph, alive) == alive.count());
  CHECK(recall_of(graph, vectors, alive, 60) >= 0.9);
}

TEST_CASE("a search over an older state starts below its limit, as before the repair") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 2000, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 50, kDim, 99);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.view(), 0);
  const RowSet alive = RowSet::all(2000) - RowSet::from_range(0, 15, 2000);  // the first entry points among them
  const auto recall_below = [&](std::size_t n) {
    const RowSet then = alive.resized(n, false);
    const testing::Ask ask{.rows = &then};
    const auto answer = search_graph(graph, vectors.first(n), queries, ask, {60, 60, 0, n});
    CHECK(std::none_of(answer.slots.begin(), answer.slots.end(), [&](Slot s) { return s >= n && s != kAbsentSlot; }));
    return recall(answer, scan_all(vectors.first(n), queries, ask));
  };
  std::vector<double> before;
  for (const std::size_t n : {16U, 500U, 1900U}) before.push_back(recall_below(n));
  CHECK(repair(graph, vectors.view(), alive));
  CHECK(recall_below(16) > 0);
  CHECK(recall_below(500) >= before[1] - 0.02);
  CHECK(recall_below(1900) >= 0.97);
}

TEST_CASE("all rows die, then all but one, and the graph grows again") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 1200, kDim, 1);
  for (const std::size_t left : {0U, 1U, 2U}) {
    CAPTURE(left);
    Hnsw graph(params(Metric::kL2));
    extend(graph, vectors.first(800), 0);
    RowSet alive = RowSet::from_range(500, 500 + left, 800);
    CHECK(repair(graph, vectors.first(800), alive));
    check_sound(graph, alive);
    const auto answer = search_graph(graph, vectors.first(800), vectors, {.rows = &alive}, with_ef(10));
    CHECK(answer.found(0).size() == left);
    alive = alive.resized(1200, true);
    extend(graph, vectors.view(), 0, &alive);
    check_sound(graph, alive);
    check_as_good_as_new(graph, vectors, alive);
  }
}

TEST_CASE("nothing dead is nothing to do, and an empty graph has nobody to lose") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 500, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  const RowSet none = RowSet::none(500);
  CHECK(repair(graph, vectors.view(), none));
  extend(graph, vectors.view());
  const auto before = bytes_of_graph(graph);
  CHECK(repair(graph, vectors.view(), RowSet::all(500), 1));
  CHECK((bytes_of_graph(graph) == before));
}

TEST_CASE("a repair that is cancelled leaves a valid graph and goes on") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 3000, kDim, 1);
  const RowSet alive = without(RowSet::all(3000), choose(RowSet::all(3000), 900, 5));
  Hnsw graph(params(Metric::kL2));
  Hnsw undisturbed(params(Metric::kL2));
  for (Hnsw* each : {&graph, &undisturbed}) extend(*each, vectors.view(), 0);
  CancelToken cancelled;
  cancelled.cancel();
  for (std::size_t slice = 0; slice < 6; ++slice) {
    CHECK_THROWS_AS(graph.repair(vectors.view(), {&alive, 1, 1, &cancelled}), Cancelled);
    graph.check("here");
    repair(graph, vectors.view(), alive, 1);
  }
  repair(graph, vectors.view(), alive);
  repair(undisturbed, vectors.view(), alive);
  CHECK((bytes_of_graph(graph) == bytes_of_graph(undisturbed)));
}

TEST_CASE("rows that do not fit the graph are refused or left to a later call") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 500, kDim, 1);
  const Vectors cosine = clustered_vectors(Metric::kCosine, 500, kDim, 1);
  Hnsw graph(params(Metric::kL2));
  extend(graph, vectors.view());
  const auto before = bytes_of_graph(graph);
  const RowSet none = RowSet::none(500);
  const RowSet few = RowSet::none(400);
  CHECK_THROWS_WITH_AS(repair(graph, vectors.view(), few), "the row set does not cover the vectors", InvalidArgument);
  CHECK_THROWS_AS(repair(graph, cosine.view(), none), InvalidArgument);
  CHECK_THROWS_WITH_AS(repair(graph, vectors.view(), none, 0), "a slice of a repair takes at least 1 step, got 0",
                       InvalidArgument);
  CHECK_FALSE(repair(graph, vectors.first(400), few));
  CHECK((bytes_of_graph(graph) == before));
}

}  // namespace
}  // namespace vdb
