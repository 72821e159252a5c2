// Searches of inverted files against the exact scan.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "ivf_cases.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kDim = 22;

TEST_CASE("all lists and a pool of all rows give the exact answer") {
  for (const Metric metric : kMetrics) {
    const Vectors rows = clustered_vectors(metric, kRows, kDim, 1);
    const Vectors queries = clustered_vectors(metric, 20, kDim, 2);
    const Answer truth = scan_all(rows.view(), queries, {});
    for (const Kind& kind : kinds()) {
      CAPTURE(kind.name);
      Ivf index(kind.params(kDim, metric, 40));
      extend(index, rows.view());
      index.check("index");
      CHECK(index.state()->lists.size() >= 40);
      CHECK((search_ivf(index, rows.view(), queries, {}, reading_all()) == truth));
    }
  }
}

TEST_CASE("bounds find nearly all of the nearest in the lists that are read, and measure few rows") {
  for (const Metric metric : kMetrics) {
    const Vectors rows = clustered_vectors(metric, kRows, 64, 1);
    const Vectors queries = clustered_vectors(metric, 100, 64, 2);
    const Answer truth = scan_all(rows.view(), queries, {});
    for (const Kind& kind : kinds()) {
      CAPTURE(kind.name);
      CAPTURE(name_of(metric));
      Ivf index(kind.params(64, metric));
      extend(index, rows.view());
      const Answer all = search_ivf(index, rows.view(), queries, {}, probing(kMaxSlots));
      CHECK(recall(all, truth) > 0.97);
      CHECK(all.stats.estimates == kRows * queries.n);
      CHECK(all.stats.distances < kRows / 5 * queries.n);
      CHECK((all.stats.refined > 0) == (kind.codes == IvfCodes::kRabitq && kind.bits > 1));
      const Answer few = search_ivf(index, rows.view(), queries, {}, probing(8));
      CHECK(recall(few, truth) > 0.9);
      CHECK(few.stats.lists == 8 * queries.n);
      CHECK(few.stats.estimates < kRows / 2 * queries.n);
      const Answer pooled = search_ivf(index, rows.view(), queries, {}, probing(kMaxSlots, 100));
      CHECK(recall(pooled, truth) > 0.93);
      CHECK(pooled.stats.distances == 100 * queries.n);
    }
  }
}

// The same rows, each of that length.
Vectors of_length(const Vectors& rows, Metric metric, float length) {
  std::vector<float> values = rows.values;
  for (std::size_t i = 0; i < rows.n; ++i) {
    const float factor = length * inverse_norm(rows.row(i), rows.dim, Dtype::kFloat32);
    for (std::size_t d = 0; d < rows.dim; ++d) values[i * rows.dim + d] *= factor;
  }
  return {metric, rows.dim, std::move(values)};
}

TEST_CASE("rows of one length are found under ip as under cosine, however long the query is") {
  const Vectors clouds = clustered_vectors(Metric::kInnerProduct, kRows, kDim, 1);
  const Vectors rows = of_length(clouds, Metric::kInnerProduct, 3.0F);
  const Vectors units = of_length(clouds, Metric::kCosine, 1.0F);
  const Vectors queries = clustered_vectors(Metric::kInnerProduct, 50, kDim, 2);
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf index(kind.params(kDim, Metric::kInnerProduct, 60));
    extend(index, rows.view());
    CHECK(index.state()->model->row_length == doctest::Approx(3.0));
    Ivf other(kind.params(kDim, Metric::kInnerProduct, 60));
    extend(other, clouds.view());
    CHECK(other.state()->model->row_length == 0.0F);
    Ivf cosine(kind.params(kDim, Metric::kCosine, 60));
    extend(cosine, units.view());
    const Vectors cosine_queries = of_length(queries, Metric::kCosine, 1.0F);
    const double wanted = recall(search_ivf(cosine, units.view(), cosine_queries, {}, probing(6)),
                                 scan_all(units.view(), cosine_queries, {}));
    for (const float length : {0.02F, 3.0F, 900.0F}) {
      CAPTURE(length);
      const Vectors asked = of_length(queries, Metric::kInnerProduct, length);
      const Answer found = search_ivf(index, rows.view(), asked, {}, probing(6));
      CHECK(std::abs(recall(found, scan_all(rows.view(), asked, {})) - wanted) < 0.03);
      CHECK(found.stats.lists == 6 * queries.n);
    }
  }
}

TEST_CASE("a filter gives the exact answer among its rows, from one row to all") {
  const Vectors rows = clustered_vectors(Metric::kCosine, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 15, kDim, 2);
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf index(kind.params(kDim, Metric::kCosine, 40));
    extend(index, rows.view());
    for (const std::size_t step : {1U, 2U, 7U, 90U, 400U, 2999U, 5000U}) {
      CAPTURE(step);
      const RowSet allowed = every(step, kRows);
      const Ask ask{10, &allowed, 1};
      const Answer truth = scan_all(rows.view(), queries, ask);
      CHECK((search_ivf(index, rows.view(), queries, ask, reading_all()) == truth));
      const Answer found = search_ivf(index, rows.view(), queries, ask, probing(1));
      const std::size_t expected = std::min<std::size_t>(10, allowed.count());
      for (std::size_t q = 0; q < queries.n; ++q) {
        CHECK(found.found(q).size() == expected);
        for (const Slot slot : found.found(q)) CHECK(allowed.contains(slot));
      }
      CHECK(found.stats.unfinished.size() == (expected < 10 ? queries.n : 0));
      CHECK(recall(search_ivf(index, rows.view(), queries, ask, probing(20)), truth) > 0.9);
    }
    const RowSet none = RowSet::none(kRows);
    CHECK(search_ivf(index, rows.view(), queries, {10, &none, 1}, probing(4)).found(0).empty());
  }
}

TEST_CASE("lists without an allowed row do not count as read") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 1, 40);
  Ivf index(kinds()[4].params(kDim, Metric::kL2, 60));
  extend(index, rows.view());
  // The rows of one list far from the first query.
  const auto state = index.state();
  std::vector<Slot> slots;
  const List& list = **std::max_element(state->lists.begin(), state->lists.end(),
                                        [](const auto& a, const auto& b) { return a->rows < b->rows; });
  for (std::size_t row = 0; row < list.rows; ++row) slots.push_back(list.slots[row]);
  const RowSet allowed = RowSet::from_slots(slots, kRows);
  const Vectors queries = clustered_vectors(Metric::kL2, 10, kDim, 2, 40);
  const Answer found = search_ivf(index, rows.view(), queries, {10, &allowed, 1}, probing(3, kAllRows));
  CHECK(found.stats.lists == queries.n);
  CHECK(found.stats.estimates == list.rows * queries.n);
  CHECK((found == scan_all(rows.view(), queries, {10, &allowed, 1})));
}

TEST_CASE("any number of threads finds the same") {
  const Vectors rows = clustered_vectors(Metric::kInnerProduct, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kInnerProduct, 100, kDim, 2);
  for (const Kind& kind : kinds()) {
    Ivf one(kind.params(kDim, Metric::kInnerProduct));
    Ivf many(kind.params(kDim, Metric::kInnerProduct));
    extend(one, rows.view(), 1);
    extend(many, rows.view(), 4);
    CHECK(sizes_of(one) == sizes_of(many));
    const Answer a = search_ivf(one, rows.view(), queries, {10, nullptr, 1}, probing(5));
    const Answer b = search_ivf(many, rows.view(), queries, {10, nullptr, 3}, probing(5));
    CHECK((a == b));
    CHECK(a.stats.estimates == b.stats.estimates);
    CHECK(a.stats.distances == b.stats.distances);
  }
}

TEST_CASE("vectors of any dtype and dimension are found") {
  for (const Dtype dtype : kDtypes) {
    const StoredVectors rows(integer_vectors(Metric::kL2, 500, 9, 1), dtype);
    const StoredVectors queries(integer_vectors(Metric::kL2, 10, 9, 2), dtype);
    Ivf index(kinds()[0].params(9, Metric::kL2));
    extend(index, rows.view());
    CHECK((search_ivf(index, rows.view(), queries, {}, reading_all()) == scan_all(rows.view(), queries, {})));
  }
  for (const std::size_t dim : {1U, 2U, 63U, 65U, 130U}) {
    const Vectors rows = uniform_vectors(Metric::kL2, 300, dim, 1);
    const Vectors queries = uniform_vectors(Metric::kL2, 5, dim, 2);
    for (const Kind& kind : kinds()) {
      IvfParams params = kind.params(dim, Metric::kL2, 4);
      params.m = std::min(params.m, dim);
      Ivf index(params);
      extend(index, rows.view());
      CHECK((search_ivf(index, rows.view(), queries, {}, reading_all()) == scan_all(rows.view(), queries, {})));
    }
  }
}

TEST_CASE("equal rows, and fewer rows than are asked for, come back whole") {
  const Vectors rows(Metric::kL2, 3, std::vector<float>(3 * 700, 0.5F));
  const Vectors query(Metric::kL2, 3, {0.5F, 0.5F, 0.4F});
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    IvfParams params = kind.params(3, Metric::kL2, 30);
    params.m = std::min<std::size_t>(params.m, 3);
    Ivf index(params);
    extend(index, rows.view());
    index.check("index");
    const Answer found = search_ivf(index, rows.view(), query, {700, nullptr, 1}, probing(1));
    CHECK(found.found(0).size() == 700);
    CHECK(found.stats.unfinished.empty());
    CHECK(search_ivf(index, rows.view(), query, {10, nullptr, 1}, probing(1)).stats.cut.size() == 1);
    CHECK(search_ivf(index, rows.view(), query, {900, nullptr, 1}, probing(1)).found(0).size() == 700);
  }
}

TEST_CASE("rows and queries beyond what float32 can square are found by their vectors") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Vectors rows = clustered_vectors(Metric::kL2, 400, kDim, 1);
    for (std::size_t i = 0; i < 20; ++i) rows.values[i * 20 * kDim] = 3e25F;
    Ivf index(kind.params(kDim, Metric::kL2, 8));
    extend(index, rows.view());
    index.check("index");
    const Vectors queries = clustered_vectors(Metric::kL2, 5, kDim, 2);
    CHECK((search_ivf(index, rows.view(), queries, {}, reading_all()) == scan_all(rows.view(), queries, {})));
    Vectors huge = queries;
    huge.values[0] = 2e30F;
    CHECK(search_ivf(index, rows.view(), huge, {400, nullptr, 1}, probing(2)).found(0).size() == 400);
  }
}

TEST_CASE("slots from the limit on and slots that are not covered are not found") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 10, kDim, 2);
  Ivf index(kinds()[4].params(kDim, Metric::kL2));
  CHECK(search_ivf(index, rows.view(), queries, {}, probing(1)).found(0).empty());
  extend(index, rows.first(2000));
  const Answer covered = search_ivf(index, rows.view(), queries, {}, reading_all());
  CHECK((covered == scan_all(rows.first(2000), queries, {})));
  const Answer limited = search_ivf(index, rows.view(), queries, {}, {kMaxSlots, kAllRows, 700});
  CHECK((limited == scan_all(rows.first(700), queries, {})));
  CHECK((search_ivf(index, rows.first(700), queries, {}, reading_all()) == limited));
}

TEST_CASE("options out of range, other vectors and short row sets are refused") {
  const Kind pq = kinds()[0];
  const auto params = [&](auto change) {
    IvfParams changed = pq.params(8, Metric::kL2);
    change(changed);
    return changed;
  };
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.nbits = 5; })), InvalidArgument);
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.m = 9; })), InvalidArgument);
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.dim = 0; })), InvalidArgument);
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.nlist = 65'536; })), InvalidArgument);
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.metric = Metric::kCustom; })), InvalidArgument);
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.opq = true, p.dim = 2000; })), InvalidArgument);
  CHECK_THROWS_AS(Ivf(params([](IvfParams& p) { p.codes = IvfCodes::kRabitq, p.bits = 9; })), InvalidArgument);
  const Vectors rows = uniform_vectors(Metric::kL2, 100, 8, 1);
  Ivf index(pq.params(8, Metric::kL2));
  extend(index, rows.view());
  const Vectors other = uniform_vectors(Metric::kCosine, 100, 8, 1);
  CHECK_THROWS_AS(search_ivf(index, other.view(), rows, {}, probing(1)), InvalidArgument);
  CHECK_THROWS_AS(extend(index, other.view()), InvalidArgument);
  const RowSet few = RowSet::all(99);
  CHECK_THROWS_AS(search_ivf(index, rows.view(), rows, {10, &few, 1}, probing(1)), InvalidArgument);
}

}  // namespace
}  // namespace vdb
