#include <doctest/doctest.h>

#include "range_cases.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 4000;
constexpr std::size_t kDim = 12;

RangeParams params(Metric metric = Metric::kL2, std::size_t dim = kDim) { return {dim, metric, 12, 100, 42}; }

// All allowed rows, nearest first, and the 10 nearest.
struct Truth {
  Truth(const VectorView& view, const Vectors& queries, const RowSet& rows)
      : all(scan_all(view, queries, {view.n, &rows})), nearest(scan_all(view, queries, {10, &rows})) {}

  Answer all;
  Answer nearest;
};

TEST_CASE("ranges of every width, of different and of equal keys, are found, and nothing else") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 30, kDim, 2);
  for (const std::size_t repeats : {1UL, 60UL, kRows}) {
    const Keys keys = random_keys(kRows, repeats, 3);
    RangeGraph graph(params());
    extend(graph, vectors.view(), keys, 2);
    graph.check("here");
    for (const std::size_t size : {1U, 2U, 9U, 11U, 70U, 150U, 400U, 1000U, 2500U, 4000U}) {
      CAPTURE(repeats);
      CAPTURE(size);
      const KeyRange range = middle(keys, size);
      const RowSet rows = rows_in(keys, range);
      const Truth truth(vectors.view(), queries, rows);
      for (const RowSet* allowed : {static_cast<const RowSet*>(nullptr), &rows}) {
        const Answer found = search_range(graph, vectors.view(), queries, {.rows = allowed}, within(range, 60));
        CHECK(count_wrong(found, truth.all) == 0);
        CHECK(recall(found, truth.nearest) >= 0.97);
        CHECK(found.stats.unfinished.size() == (rows.count() < 10 ? queries.n : 0));
      }
    }
  }
}

TEST_CASE("a range without rows, an empty graph and a limit of nothing have no answer and say so") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 500, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 3, kDim, 2);
  const Keys keys = random_keys(500, 1, 3);
  RangeGraph graph(params());
  const auto finds_nothing = [&](const RangeSearch& how) {
    const Answer found = search_range(graph, vectors.view(), queries, {}, how);
    CHECK(found.found(0).empty());
    CHECK(found.stats.unfinished.size() == 3);
  };
  finds_nothing(within({-1000, 1000}, 50));
  extend(graph, vectors.view(), keys);
  finds_nothing(within({1000, 2000}, 50));
  finds_nothing(within({10, 9}, 50));
  finds_nothing({50, 0, 0, 0, -1000, 1000, nullptr});
  const RowSet none = RowSet::none(500);
  CHECK(search_range(graph, vectors.view(), queries, {.rows = &none}, within({-1000, 1000}, 50)).found(0).empty());
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  const std::int64_t greatest = std::numeric_limits<std::int64_t>::max();
  CHECK(search_range(graph, vectors.view(), queries, {}, within({least, greatest}, 50)).found(0).size() == 10);
}

TEST_CASE("every metric and dtype finds the rows of a range at their distances") {
  for (const Metric metric : kMetrics) {
    for (const Dtype dtype : kDtypes) {
      CAPTURE(name_of(metric));
      CAPTURE(name_of(dtype));
      const StoredVectors vectors(integer_vectors(metric, 1500, kDim, 1), dtype);
      const StoredVectors queries(integer_vectors(metric, 20, kDim, 2), dtype);
      const Keys keys = random_keys(1500, 3, 3);
      RangeGraph graph(params(metric));
      extend(graph, vectors.view(), keys);
      const KeyRange range = middle(keys, 600);
      const RowSet rows = rows_in(keys, range);
      const Answer all = scan_all(vectors.view(), queries, {1500, &rows});
      const Answer found = search_range(graph, vectors.view(), queries, {}, within(range, 100));
      CHECK(count_wrong(found, all) == 0);
    }
  }
}

TEST_CASE("rows that another predicate leaves are found, whatever their share of the range") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 30, kDim, 2);
  const Keys keys = random_keys(kRows, 2, 3);
  RangeGraph graph(params(Metric::kCosine));
  extend(graph, vectors.view(), keys);
  const KeyRange range = middle(keys, 2000);
  for (const std::size_t step : {1U, 2U, 3U, 5U, 20U, 300U}) {
    CAPTURE(step);
    std::vector<Slot> slots;
    const RowSet inside = rows_in(keys, range);
    for (const Slot slot : inside.to_slots()) {
      if (slot % step == 0) slots.push_back(slot);
    }
    const RowSet rows = RowSet::from_slots(slots, kRows);
    const Truth truth(vectors.view(), queries, rows);
    const Answer found = search_range(graph, vectors.view(), queries, {.rows = &rows}, within(range, 60));
    CHECK(count_wrong(found, truth.all) == 0);
    CHECK(recall(found, truth.nearest) >= 0.95);
  }
}

TEST_CASE("codes are walked by and what they find is measured") {
  constexpr std::size_t kWide = 128;
  const Vectors vectors = clustered_vectors(Metric::kCosine, 3000, kWide, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 30, kWide, 2);
  const Keys keys = random_keys(3000, 1, 3);
  const KeyRange range = middle(keys, 1000);
  const RowSet rows = rows_in(keys, range);
  const Truth truth(vectors.view(), queries, rows);
  for (const CodecKind kind : {CodecKind::kSq8, CodecKind::kRabitq}) {
    CodeStore codes({.kind = kind, .dim = kWide, .metric = Metric::kCosine, .bits = kind == CodecKind::kSq8 ? 0U : 2U});
    CancelToken token;
    codes.extend(vectors.first(2000), {nullptr, 1, &token, {}});
    RangeGraph graph(params(Metric::kCosine, kWide));
    extend(graph, vectors.first(2000), keys, 2, nullptr, &codes);
    extend(graph, vectors.view(), keys, 2, nullptr, &codes);  // which cover less: by vectors
    codes.extend(vectors.view(), {nullptr, 1, &token, {}});
    for (const RowSet* allowed : {static_cast<const RowSet*>(nullptr), &rows}) {
      RangeSearch how = within(range, 80);
      how.codes = &codes;
      const Answer found = search_range(graph, vectors.view(), queries, {.rows = allowed}, how);
      CHECK(count_wrong(found, truth.all) == 0);
      CHECK(recall(found, truth.nearest) >= 0.97);
      CHECK(found.stats.estimates > found.stats.distances);
    }
  }
  CodeStore other({.kind = CodecKind::kSq8, .dim = kWide, .metric = Metric::kL2});
  RangeGraph graph(params(Metric::kCosine, kWide));
  CHECK_THROWS_AS(extend(graph, vectors.view(), keys, 1, nullptr, &other), InvalidArgument);
}

TEST_CASE("a search over an older state of the table sees only the rows of that state") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 20, kDim, 2);
  const Keys keys = random_keys(kRows, 1, 3);
  RangeGraph graph(params());
  extend(graph, vectors.first(1500), keys);
  extend(graph, vectors.view(), keys);
  const KeyRange range = middle(keys, 2000);
  const Keys older(keys.begin(), keys.begin() + 1500);
  const Truth truth(vectors.first(1500), queries, rows_in(older, range));
  RangeSearch how = within(range, 80);
  CHECK(count_wrong(search_range(graph, vectors.first(1500), queries, {}, how), truth.all) == 0);
  how.limit = 1500;
  const Answer found = search_range(graph, vectors.view(), queries, {}, how);
  CHECK(count_wrong(found, truth.all) == 0);
  CHECK(recall(found, truth.nearest) >= 0.95);
}

TEST_CASE("a budget ends a search and says so") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 5, kDim, 2);
  const Keys keys = random_keys(kRows, 1, 3);
  RangeGraph graph(params());
  extend(graph, vectors.view(), keys);
  RangeSearch how = within(middle(keys, 3000), 100);
  how.budget = 60;
  const Answer found = search_range(graph, vectors.view(), queries, {}, how);
  CHECK(found.stats.unfinished.size() == 5);
  CHECK(found.stats.distances < 5 * (60 + 2 * 12));
}

}  // namespace
}  // namespace vdb
