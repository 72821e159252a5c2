// Filtered search by each arm against the exact scan of the allowed rows.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "answer.h"
#include "base/error.h"
#include "core/distance.h"
#include "index/graph/search.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kDim = 16;
constexpr std::size_t kClusters = 20;

struct NamedArm {
  Arm arm;
  std::string name;
};
const NamedArm kArms[] = {
    {Arm::kPlain, "plain"}, {Arm::kAdaptive, "adaptive"}, {Arm::kTwoHop, "two_hop"}, {Arm::kPost, "post"}};

HnswSearch how(Arm arm, std::size_t ef, std::size_t pool = 0, std::uint64_t budget = 0) {
  return {ef, pool, budget, kMaxSlots, arm};
}

HnswSearch seeded(HnswSearch how, const std::vector<Slot>& seeds, std::size_t per_query) {
  how.seeds = {seeds.data(), per_query};
  return how;
}

// Slots in the answers that are outside the view, not allowed, out of order, twice, or at another distance than theirs.
template <class Queries>
std::size_t count_wrong(const Answer& answer, const VectorView& view, const Queries& queries, const RowSet& rows) {
  std::size_t wrong = 0;
  for (std::size_t q = 0; q < queries.n; ++q) {
    with_distance(view, queries.bytes() + q * view.row_bytes(), [&]<class Distance>(const Distance& distance) {
      Neighbor last{-std::numeric_limits<float>::infinity(), 0};
      std::size_t at = q * answer.k;
      for (const Slot slot : answer.found(q)) {
        const Neighbor now{answer.distances[at++], slot};
        const bool right = slot < view.n && rows.contains(slot) && now.distance == Distance::reported(distance(slot));
        wrong += right && (last < now || at == q * answer.k + 1) ? 0U : 1U;
        last = now;
      }
    });
  }
  return wrong;
}

// Queries with fewer than k (at most the allowed) rows that are not among the unfinished.
std::size_t count_short(const Answer& answer, const RowSet& rows) {
  std::size_t wrong = 0;
  for (std::size_t q = 0; q * answer.k < answer.slots.size(); ++q) {
    const bool named = std::binary_search(answer.stats.unfinished.begin(), answer.stats.unfinished.end(),
                                          static_cast<std::uint32_t>(q));
    wrong += answer.found(q).size() < std::min(answer.k, rows.count()) && !named ? 1U : 0U;
  }
  return wrong;
}

struct World {
  World(Metric metric, HnswParams params)
      : vectors(clustered_vectors(metric, kRows, params.dim, 1, kClusters)),
        queries(clustered_vectors(metric, 60, params.dim, 2, kClusters)),
        graph(params) {
    extend(graph, vectors.view(), 0);
  }
  explicit World(Metric metric) : World(metric, {kDim, metric, 12, 80, 42}) {}

  Answer search(const RowSet& rows, const HnswSearch& by, std::size_t threads = 1) {
    return search_graph(graph, vectors.view(), queries, {10, &rows, threads}, by);
  }
  Answer truth(const RowSet& rows) const { return scan_all(vectors.view(), queries, {10, &rows}); }
  // What no answer may be, at once.
  std::size_t wrong(const Answer& answer, const RowSet& rows) const {
    return count_wrong(answer, vectors.view(), queries, rows) + count_short(answer, rows);
  }

  Vectors vectors;
  Vectors queries;
  Hnsw graph;
};

World& world(Metric metric) {
  static World worlds[] = {World(Metric::kL2), World(Metric::kCosine), World(Metric::kInnerProduct)};
  return worlds[static_cast<std::size_t>(metric)];
}

RowSet every(std::size_t step, std::size_t n = kRows) {
  std::vector<Slot> slots;
  for (std::size_t slot = step / 2; slot < n; slot += step) slots.push_back(static_cast<Slot>(slot));
  return RowSet::from_slots(slots, n);
}

// The rows nearest to a row: another part of space than most queries are in.
RowSet around(const World& w, Slot row, std::size_t count) {
  const Vectors one(w.vectors.metric, w.vectors.dim, {w.vectors.row(row), w.vectors.row(row) + w.vectors.dim});
  return RowSet::from_slots(scan_all(w.vectors.view(), one, {count}).found(0), kRows);
}

// Rows of small norm have few edges that lead to them. One row of twenty is an island of its own here and there, which
// only bridges or seeds lead to, and ACORN-1 knows no bridges.
double floor_of(Arm arm, Metric metric, std::size_t step) {
  if (step >= 20 && arm == Arm::kTwoHop) return 0.15;
  if (metric == Metric::kInnerProduct) return step >= 20 ? 0.5 : 0.85;
  return step >= 20 && arm == Arm::kAdaptive ? 0.85 : 0.95;
}

TEST_CASE("every arm returns allowed rows at their distances and finds nearly all it should, at every metric") {
  for (const Metric metric : kMetrics) {
    World& w = world(metric);
    for (const NamedArm& by : kArms) {
      for (const std::size_t step : {1U, 2U, 5U, 20U, 60U}) {
        CAPTURE(name_of(metric));
        CAPTURE(by.name);
        CAPTURE(step);
        const RowSet rows = every(step);
        const Answer answer = w.search(rows, how(by.arm, 50, by.arm == Arm::kPlain ? 50 * step : 0));
        CHECK(w.wrong(answer, rows) == 0);
        CHECK(recall(answer, w.truth(rows)) >= floor_of(by.arm, metric, step));
      }
    }
  }
}

TEST_CASE("where every row is allowed the adaptive walk is the unfiltered one, step by step") {
  World& w = world(Metric::kL2);
  const RowSet rows = RowSet::all(kRows);
  const Answer plain = search_graph(w.graph, w.vectors.view(), w.queries, {}, with_ef(40));
  const Answer adaptive = w.search(rows, how(Arm::kAdaptive, 40));
  CHECK((adaptive == plain));
  CHECK(adaptive.stats.distances == plain.stats.distances);
  CHECK(adaptive.stats.hops == plain.stats.hops);
}

TEST_CASE("the adaptive walk measures less than the plain one for what it finds") {
  World& w = world(Metric::kL2);
  for (const std::size_t step : {4U, 10U, 30U}) {
    CAPTURE(step);
    const RowSet rows = every(step);
    const Answer truth = w.truth(rows);
    const Answer plain = w.search(rows, how(Arm::kPlain, 40, 40 * step));
    const Answer adaptive = w.search(rows, how(Arm::kAdaptive, 40));
    CHECK(recall(adaptive, truth) >= 0.9);
    CHECK(adaptive.stats.distances < plain.stats.distances);
    CHECK(adaptive.stats.tests > 0);
  }
}

TEST_CASE("no row, one row and a few rows are answered or named as unfinished") {
  World& w = world(Metric::kCosine);
  for (const NamedArm& by : kArms) {
    CAPTURE(by.name);
    for (const std::vector<Slot>& slots : {std::vector<Slot>{}, {1234}, {0, 1, 2999}}) {
      const RowSet rows = RowSet::from_slots(slots, kRows);
      const Answer answer = w.search(rows, how(by.arm, 50));
      CHECK(w.wrong(answer, rows) == 0);
      CHECK(answer.stats.unfinished.size() == w.queries.n);  // fewer than k
      if (by.arm == Arm::kPost && !slots.empty()) CHECK(recall(answer, w.truth(rows)) == 1);
    }
  }
}

TEST_CASE("allowed rows in another part of space are found from a seed, and without one the answer is still sound") {
  World& w = world(Metric::kL2);
  for (const Slot row : {7U, 1500U, 2222U}) {
    CAPTURE(row);
    const RowSet rows = around(w, row, 100);
    const std::vector<Slot> seeds(w.queries.n, row);
    for (const Arm arm : {Arm::kPlain, Arm::kAdaptive, Arm::kTwoHop}) {
      const HnswSearch by = how(arm, 40, arm == Arm::kPlain ? kRows : 0);
      CHECK(w.wrong(w.search(rows, by), rows) == 0);
      const Answer answer = w.search(rows, seeded(by, seeds, 1));
      CHECK(w.wrong(answer, rows) == 0);
      CHECK(recall(answer, w.truth(rows)) >= 0.9);
    }
  }
}

TEST_CASE("parts of the allowed rows that no edge joins are all found from seeds") {
  World& w = world(Metric::kL2);
  const RowSet rows = around(w, 7, 60) | around(w, 1500, 60) | around(w, 2222, 60);
  std::vector<Slot> seeds;
  for (std::size_t q = 0; q < w.queries.n; ++q) seeds.insert(seeds.end(), {7, 1500, 2222});
  const Answer answer = w.search(rows, seeded(how(Arm::kAdaptive, 64), seeds, 3));
  CHECK(w.wrong(answer, rows) == 0);
  CHECK(recall(answer, w.truth(rows)) >= 0.95);
}

TEST_CASE("seeds that are absent, outside, not allowed or given twice count for nothing") {
  World& w = world(Metric::kL2);
  const RowSet rows = every(10);
  const std::vector<Slot> clean(w.queries.n, 205);
  std::vector<Slot> dirty;
  for (std::size_t q = 0; q < w.queries.n; ++q) {
    dirty.insert(dirty.end(), {kAbsentSlot, 205, 206, kRows, 205, kMaxSlots, 0, 205});
  }
  for (const Arm arm : {Arm::kPlain, Arm::kAdaptive, Arm::kTwoHop}) {
    const Answer expected = w.search(rows, seeded(how(arm, 30, 60), clean, 1));
    const Answer answer = w.search(rows, seeded(how(arm, 30, 60), dirty, 8));
    CHECK((answer == expected));
    CHECK(answer.stats.distances == expected.stats.distances);
  }
  HnswSearch limited = seeded(how(Arm::kAdaptive, 30), dirty, 8);
  limited.limit = 200;
  const Answer below = w.search(rows, limited);
  CHECK(std::all_of(below.slots.begin(), below.slots.end(), [](Slot s) { return s < 200 || s == kAbsentSlot; }));
}

TEST_CASE("seeds without a row set are refused") {
  World& w = world(Metric::kL2);
  const std::vector<Slot> seeds(w.queries.n, 5);
  const HnswSearch by = seeded(how(Arm::kAdaptive, 30), seeds, 1);
  CHECK_THROWS_AS(search_graph(w.graph, w.vectors.view(), w.queries, {}, by), InvalidArgument);
}

TEST_CASE("a budget of steps ends each arm near it, names the query and keeps what was found") {
  World& w = world(Metric::kL2);
  const RowSet rows = every(7);
  for (const NamedArm& by : kArms) {
    CAPTURE(by.name);
    const Answer whole = w.search(rows, how(by.arm, 80, 400));
    const Answer cut = w.search(rows, how(by.arm, 80, 400, 90));
    CHECK(whole.stats.unfinished.empty());
    CHECK(cut.stats.unfinished.size() == w.queries.n);
    CHECK(w.wrong(cut, rows) == 0);
    CHECK(recall(cut, w.truth(rows)) > 0.02);
    // One hop more than the budget at most, and the way down, which no budget counts.
    const std::uint64_t steps = cut.stats.distances + cut.stats.tests / kTestsPerStep;
    CHECK(steps < w.queries.n * (90 + 150));
    const Answer ample = w.search(rows, how(by.arm, 80, 400, 100 * kRows));
    CHECK((ample == whole));
  }
}

TEST_CASE("any number of threads and any batch give the same answer and counts by every arm") {
  World& w = world(Metric::kCosine);
  const RowSet rows = every(9);
  std::vector<Slot> seeds;
  for (std::size_t q = 0; q < w.queries.n; ++q) seeds.push_back(static_cast<Slot>(4 + 9 * q));
  for (const NamedArm& by : kArms) {
    CAPTURE(by.name);
    const Answer one = w.search(rows, seeded(how(by.arm, 40, 90), seeds, 1));
    const Answer all = w.search(rows, seeded(how(by.arm, 40, 90), seeds, 1), 0);
    CHECK((one == all));
    CHECK(one.stats.distances == all.stats.distances);
    CHECK(one.stats.hops == all.stats.hops);
    CHECK(one.stats.tests == all.stats.tests);
    const std::size_t q = 33;
    const Vectors query(Metric::kCosine, kDim, {w.queries.row(q), w.queries.row(q) + kDim});
    const std::vector<Slot> seed{seeds[q]};
    const HnswSearch alone = seeded(how(by.arm, 40, 90), seed, 1);
    CHECK(search_graph(w.graph, w.vectors.view(), query, {10, &rows, 1}, alone).found(0) == one.found(q));
  }
}

TEST_CASE("every arm walks by every kind of codes and reports the distances of the vectors") {
  struct Choice {
    std::optional<CodecKind> kind;
    std::size_t bits;
    bool packed;
  };
  for (const Choice& choice : {Choice{CodecKind::kSq8, 0, false}, Choice{CodecKind::kRabitq, 2, false},
                               Choice{CodecKind::kRabitq, 4, false}, Choice{CodecKind::kRabitq, 4, true}}) {
    HnswParams params{64, Metric::kL2, 12, 80, 42};
    params.codes = choice.kind;
    params.code_bits = choice.bits;
    params.packed = choice.packed;
    World w(Metric::kL2, params);
    for (const NamedArm& by : kArms) {
      for (const std::size_t step : {2U, 10U}) {
        CAPTURE(by.name);
        CAPTURE(choice.bits);
        CAPTURE(step);
        const RowSet rows = every(step);
        const Answer answer = w.search(rows, how(by.arm, 80, 80 * step));
        CHECK(w.wrong(answer, rows) == 0);
        CHECK(recall(answer, w.truth(rows)) >= 0.9);
        if (!choice.packed || by.arm != Arm::kPlain || step > 2) CHECK(answer.stats.estimates > answer.stats.distances);
      }
    }
  }
}

TEST_CASE("every arm searches vectors of every dtype") {
  const Vectors whole = integer_vectors(Metric::kCosine, 800, kDim, 1);
  const RowSet rows = every(6, 800);
  for (const Dtype dtype : kDtypes) {
    const StoredVectors vectors(whole, dtype);
    Hnsw graph({kDim, Metric::kCosine, 8, 60, 42});
    extend(graph, vectors.view());
    const Answer truth = scan_all(vectors.view(), vectors, {5, &rows});
    for (const NamedArm& by : kArms) {
      CAPTURE(name_of(dtype));
      CAPTURE(by.name);
      const Answer answer = search_graph(graph, vectors.view(), vectors, {5, &rows, 2}, how(by.arm, 60, 360));
      CHECK(count_wrong(answer, vectors.view(), vectors, rows) + count_short(answer, rows) == 0);
      std::size_t near = 0;  // the values are full of ties
      for (std::size_t i = 0; i < truth.slots.size(); ++i) near += answer.distances[i] <= truth.distances[i] ? 1U : 0U;
      CHECK(near * 100 >= truth.slots.size() * 85);
    }
  }
}

TEST_CASE("the arm of a walk without the filter goes on until ef of what it found are allowed") {
  World& w = world(Metric::kL2);
  const RowSet rows = every(30);
  const Answer narrow = w.search(rows, how(Arm::kPost, 11));
  const Answer wide = w.search(rows, how(Arm::kPost, 40));
  CHECK(narrow.stats.unfinished.empty());
  CHECK(recall(narrow, w.truth(rows)) >= 0.97);
  CHECK(recall(wide, w.truth(rows)) >= recall(narrow, w.truth(rows)));
  CHECK(wide.stats.distances > narrow.stats.distances);
  // Going on costs hardly more than having begun as wide.
  const Answer at_once = w.search(rows, how(Arm::kPost, 11, 704));
  CHECK(narrow.stats.distances <= at_once.stats.distances * 11 / 10);
}

TEST_CASE("searches by every arm beside a growing graph return allowed rows of its prefix") {
  constexpr std::size_t kGrown = 1200;
  const Vectors vectors = clustered_vectors(Metric::kCosine, kGrown, 8, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 5, 8, 2);
  for (const bool by_codes : {false, true}) {
    HnswParams params{8, Metric::kCosine, 6, 30, 42};
    if (by_codes) params.codes = CodecKind::kSq8;
    Hnsw graph(params);
    extend(graph, vectors.first(100));
    std::atomic<bool> done{false};
    std::atomic<std::size_t> wrong{0};
    const auto read = [&](Arm arm) {
      for (bool last = false; !last;) {
        last = done;
        const std::size_t covered = graph.covered();
        const RowSet rows = every(5, covered);
        const std::vector<Slot> seeds(queries.n, 2);
        HnswSearch by = seeded(how(arm, 20), seeds, 1);
        by.limit = covered;
        const Answer answer = search_graph(graph, vectors.first(covered), queries, {10, &rows, 1}, by);
        wrong += count_wrong(answer, vectors.first(covered), queries, rows);
      }
    };
    std::vector<std::thread> readers;
    for (const NamedArm& by : kArms) readers.emplace_back(read, by.arm);
    for (std::size_t n = 101; n <= kGrown; n += n < 200 ? 1 : 75) extend(graph, vectors.first(n), 0);
    extend(graph, vectors.view(), 0);
    done = true;
    for (auto& reader : readers) reader.join();
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace vdb
