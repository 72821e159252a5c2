#include "core/custom_distance.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "answer.h"
#include "base/error.h"
#include "codec/code_store.h"
#include "core/distance.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::Answer;
using testing::extend;
using testing::integer_vectors;
using testing::kDtypes;
using testing::scan_all;
using testing::search_graph;
using testing::StoredVectors;
using testing::Vectors;
using testing::with_ef;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::int32_t squared(const float* a, const float* b, std::int64_t dim, float* out) {
  float sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += (a[d] - b[d]) * (a[d] - b[d]);
  *out = sum;
  return 0;
}

// Fails where the row begins with 3, is NaN where it begins with 2.
std::int32_t choosy(const float* a, const float* b, std::int64_t dim, float* out) {
  squared(a, b, dim, out);
  if (b[0] == 2) *out = std::nanf("");
  return b[0] == 3 ? 1 : 0;
}

VectorView under(VectorView view, CustomFunction function, MetricFailures* failures = nullptr) {
  view.metric = Metric::kCustom;
  view.custom = {function, failures};
  return view;
}

// Small integers are exact in every dtype and sum, so both sides agree bit for bit.
TEST_CASE("a function equal to l2 finds the rows of the built-in scan, whatever the dtype, threads and filter") {
  const Vectors rows = integer_vectors(Metric::kL2, 700, 19, 1);
  const Vectors asked = integer_vectors(Metric::kL2, 40, 19, 2);
  std::vector<Slot> slots;
  for (Slot slot = 0; slot < rows.n; slot += 3) slots.push_back(slot);
  const RowSet third = RowSet::from_slots(slots, rows.n);
  for (const Dtype dtype : kDtypes) {
    const StoredVectors stored(rows, dtype);
    const StoredVectors queries(asked, dtype);
    for (const RowSet* allowed : {static_cast<const RowSet*>(nullptr), &third}) {
      for (const std::size_t threads : {1U, 4U}) {
        CAPTURE(name_of(dtype));
        CAPTURE(threads);
        const Answer expected = scan_all(stored.view(), queries, {10, allowed, 1});
        const Answer found = scan_all(under(stored.view(), squared), queries, {10, allowed, threads});
        CHECK(found.slots == expected.slots);
        CHECK(found.stats.distances == expected.stats.distances);
        CHECK(found.stats.tied == expected.stats.tied);
        CHECK(found.stats.cut == expected.stats.cut);
        for (std::size_t i = 0; i < found.distances.size(); ++i) {
          CHECK(std::sqrt(found.distances[i]) == expected.distances[i]);
        }
      }
    }
  }
}

TEST_CASE("a function equal to l2 builds and walks the graph of the built-in") {
  const Vectors rows = integer_vectors(Metric::kL2, 600, 24, 1);
  const Vectors queries = integer_vectors(Metric::kL2, 30, 24, 2);
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat16}) {
    CAPTURE(name_of(dtype));
    const StoredVectors stored(rows, dtype);
    const StoredVectors asked(queries, dtype);
    const VectorView view = under(stored.view(), squared);
    Hnsw expected({24, Metric::kL2, 8, 40, 42});
    Hnsw found({24, Metric::kCustom, 8, 40, 42});
    extend(expected, stored.view());
    extend(found, view, 4);
    for (Slot slot = 0; slot < rows.n; ++slot) CHECK(found.neighbors(slot, 0) == expected.neighbors(slot, 0));
    const Answer built_in = search_graph(expected, stored.view(), asked, {10, nullptr, 1}, with_ef(40));
    const Answer custom = search_graph(found, view, asked, {10, nullptr, 4}, with_ef(40));
    CHECK(custom.slots == built_in.slots);
    CHECK(custom.stats.distances == built_in.stats.distances);
    CHECK(custom.stats.hops == built_in.stats.hops);
  }
}

TEST_CASE("a distance that fails or is NaN counts as infinitely far, and is counted") {
  const Vectors rows = integer_vectors(Metric::kL2, 300, 5, 1);
  const Vectors queries = integer_vectors(Metric::kL2, 20, 5, 2);
  std::size_t nan = 0;
  std::size_t raised = 0;
  for (std::size_t i = 0; i < rows.n; ++i) {
    nan += rows.row(i)[0] == 2 ? 1U : 0U;
    raised += rows.row(i)[0] == 3 ? 1U : 0U;
  }
  REQUIRE((nan > 0 && raised > 0 && nan + raised < rows.n));
  MetricFailures failures;
  const Answer answer = scan_all(under(rows.view(), choosy, &failures), queries, {rows.n, nullptr, 4});
  CHECK(failures.nan == nan * queries.n);
  CHECK(failures.raised == raised * queries.n);
  for (std::size_t q = 0; q < queries.n; ++q) {
    CHECK(answer.found(q).size() == rows.n);
    for (std::size_t i = 0; i < rows.n; ++i) {
      const bool far = rows.row(answer.slots[q * rows.n + i])[0] >= 2;
      CHECK((answer.distances[q * rows.n + i] == kInfinity) == far);
    }
  }
}

TEST_CASE("a functor gives the same alone, four at a time and for a run of rows") {
  const Vectors rows = integer_vectors(Metric::kL2, 33, 7, 1);
  for (const Dtype dtype : kDtypes) {
    const StoredVectors stored(rows, dtype);
    const CustomDistance distance(under(stored.view(), squared), Slot{5});
    std::vector<Slot> slots(rows.n);
    for (Slot i = 0; i < rows.n; ++i) slots[i] = i;
    std::vector<float> run(rows.n);
    distance.measure(slots, run.data());
    float four[4];
    distance.x4(slots.data() + 20, four);
    for (Slot i = 0; i < rows.n; ++i) {
      float expected = 0;
      squared(rows.row(5), rows.row(i), 7, &expected);
      CHECK(distance(i) == expected);
      CHECK(run[i] == expected);
      if (i >= 20 && i < 24) CHECK(four[i - 20] == expected);
    }
  }
}

TEST_CASE("a graph keeps its kind of metric through a snapshot, and codes refuse it") {
  CHECK(parse_metric("custom") == Metric::kCustom);
  CHECK(name_of(Metric::kCustom) == "custom");
  CHECK_THROWS_AS(CodeStore({CodecKind::kSq8, 8, Metric::kCustom}), InvalidArgument);
  const Vectors rows = integer_vectors(Metric::kL2, 50, 8, 1);
  Hnsw graph({8, Metric::kCustom, 4, 20, 42});
  CHECK_THROWS_AS(extend(graph, rows.view()), InvalidArgument);  // a view under l2
  extend(graph, under(rows.view(), squared));
  const testing::TemporaryFolder folder;
  graph.save(folder.file("g"), {});
  const std::unique_ptr<Hnsw> loaded = Hnsw::load(folder.file("g"));
  CHECK(loaded->params().metric == Metric::kCustom);
  CHECK(loaded->neighbors(7, 0) == graph.neighbors(7, 0));
}

}  // namespace
}  // namespace vdb
