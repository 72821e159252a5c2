#include "index/flat/scan.h"

#include <doctest/doctest.h>

#include <limits>

#include "answer.h"
#include "base/error.h"
#include "core/distance.h"

namespace vdb {
namespace {

using testing::Answer;
using testing::integer_vectors;
using testing::kMetrics;
using testing::scan_all;
using testing::Vectors;

// Small integers make every sum exact, so the model below agrees with the scan bit for bit, ties included.
float exact_distance(const Vectors& vectors, std::size_t slot, const float* query) {
  float squared = 0;
  float product = 0;
  for (std::size_t d = 0; d < vectors.dim; ++d) {
    const float difference = vectors.row(slot)[d] - query[d];
    squared += difference * difference;
    product += vectors.row(slot)[d] * query[d];
  }
  switch (vectors.metric) {
    case Metric::kL2: return std::sqrt(squared);
    case Metric::kCosine:
      return 1.0F - product * inverse_norm(query, vectors.dim, Dtype::kFloat32) * vectors.norms[slot];
    case Metric::kInnerProduct: return -product;
    case Metric::kCustom: break;
  }
  return 0;
}

Answer sort_all(const Vectors& vectors, const Vectors& queries, std::size_t k, const RowSet& rows, std::size_t begin) {
  Answer answer(queries.n, k);
  std::ranges::fill(answer.slots, kAbsentSlot);
  std::ranges::fill(answer.distances, std::numeric_limits<float>::infinity());
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::vector<Neighbor> nearest;
    for (std::size_t i = begin; i < vectors.n; ++i) {
      const Slot slot = static_cast<Slot>(i);
      if (rows.contains(slot)) nearest.push_back({exact_distance(vectors, i, queries.row(q)), slot});
    }
    std::sort(nearest.begin(), nearest.end());
    for (std::size_t i = 0; i < std::min(k, nearest.size()); ++i) {
      answer.slots[q * k + i] = nearest[i].slot;
      answer.distances[q * k + i] = nearest[i].distance;
    }
  }
  return answer;
}

RowSet some_rows(std::size_t size, double share) {
  testing::Random random(3);
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < size; ++i) {
    if (random.unit() < share) slots.push_back(static_cast<Slot>(i));
  }
  return RowSet::from_slots(slots, size);
}

TEST_CASE("the scan agrees with a sort of all distances, for every metric, filter and begin") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = integer_vectors(metric, 301, 6, 1);
    const Vectors queries = integer_vectors(metric, 21, 6, 2);
    for (const double share : {0.0, 0.02, 0.5, 0.9, 2.0}) {
      const RowSet rows = some_rows(vectors.n, share);
      for (const std::size_t begin : {0U, 1U, 64U, 300U, 301U}) {
        for (const std::size_t k : {1U, 10U, 400U}) {
          CAPTURE(name_of(metric));
          CAPTURE(share);
          CAPTURE(begin);
          CAPTURE(k);
          const Answer answer = scan_all(vectors.view(), queries, {k, &rows, 1}, begin);
          CHECK((answer == sort_all(vectors, queries, k, rows, begin)));
        }
      }
    }
  }
}

TEST_CASE("values that every dtype holds have the same answers in each") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = integer_vectors(metric, 301, 37, 1);
    const Vectors queries = integer_vectors(metric, 5, 37, 2);
    const RowSet rows = some_rows(vectors.n, 0.5);
    const Answer expected = sort_all(vectors, queries, 10, rows, 3);
    for (const Dtype dtype : testing::kDtypes) {
      CAPTURE(name_of(metric));
      CAPTURE(name_of(dtype));
      const testing::StoredVectors stored(vectors, dtype);
      CHECK((scan_all(stored.view(), testing::StoredVectors(queries, dtype), {10, &rows, 1}, 3) == expected));
    }
  }
}

TEST_CASE("no row set means every row") {
  const Vectors vectors = integer_vectors(Metric::kL2, 100, 4, 1);
  const Vectors queries = integer_vectors(Metric::kL2, 3, 4, 2);
  const RowSet all = RowSet::all(100);
  CHECK((scan_all(vectors.view(), queries, {.k = 7}) == scan_all(vectors.view(), queries, {.k = 7, .rows = &all})));
}

TEST_CASE("rows that fill many tiles are all seen") {
  const Vectors vectors = integer_vectors(Metric::kL2, 20'000, 16, 1);  // 1.3 MB: three tiles
  const Vectors queries = integer_vectors(Metric::kL2, 2, 16, 2);
  const RowSet rows = some_rows(vectors.n, 0.7);
  const Answer answer = scan_all(vectors.view(), queries, {50, &rows, 1}, 77);
  CHECK((answer == sort_all(vectors, queries, 50, rows, 77)));
}

TEST_CASE("any number of threads gives the same answer and the same counts") {
  const Vectors vectors = testing::uniform_vectors(Metric::kCosine, 500, 9, 1);
  const Vectors queries = testing::uniform_vectors(Metric::kCosine, 100, 9, 2);
  const Answer one = scan_all(vectors.view(), queries, {.k = 5, .threads = 1});
  const Answer all = scan_all(vectors.view(), queries, {.k = 5, .threads = 0});
  CHECK((one == all));
  CHECK(one.stats.distances == 500 * 100);
  CHECK(all.stats.distances == 500 * 100);
}

TEST_CASE("distances are counted for allowed rows only") {
  const Vectors vectors = integer_vectors(Metric::kL2, 100, 4, 1);
  const RowSet rows = RowSet::from_range(30, 50, 100);
  CHECK(scan_all(vectors.view(), integer_vectors(Metric::kL2, 3, 4, 2), {5, &rows, 1}, 45).stats.distances == 15);
}

TEST_CASE("a query answers the same in any batch") {
  const Vectors vectors = testing::uniform_vectors(Metric::kInnerProduct, 200, 13, 1);
  const Vectors queries = testing::uniform_vectors(Metric::kInnerProduct, 40, 13, 2);
  const Answer batch = scan_all(vectors.view(), queries, {.k = 8});
  for (std::size_t q = 0; q < queries.n; ++q) {
    const Vectors query(Metric::kInnerProduct, 13, {queries.row(q), queries.row(q) + 13});
    CHECK(scan_all(vectors.view(), query, {.k = 8}).found(0) == batch.found(q));
  }
}

TEST_CASE("the queries whose answer has ties are named in order, for any number of threads") {
  const Vectors vectors(Metric::kL2, 1, {0, 2, 4, 5});
  std::vector<float> values;
  for (int q = 0; q < 90; ++q) values.push_back(q % 3 == 0 ? 1.0F : 0.25F);  // every third stands between two rows
  const Vectors queries(Metric::kL2, 1, std::move(values));
  const Answer answer = scan_all(vectors.view(), queries, {.k = 3, .threads = 0});
  std::vector<std::uint32_t> thirds;
  for (std::uint32_t q = 0; q < 90; q += 3) thirds.push_back(q);
  CHECK(answer.stats.tied == thirds);
  CHECK(answer.stats.cut.empty());
  const Answer shorter = scan_all(vectors.view(), queries, {.k = 1, .threads = 0});  // now the tie is at the end
  CHECK(shorter.stats.cut == thirds);
  CHECK(shorter.stats.tied.empty());
  CHECK(answer.stats.unfinished.empty());
}

TEST_CASE("no rows and no queries give empty answers") {
  const Vectors none(Metric::kL2, 4, {});
  const Vectors some = integer_vectors(Metric::kL2, 3, 4, 1);
  const Answer answer = scan_all(none.view(), some, {.k = 2});
  CHECK(answer.slots == std::vector<Slot>(6, kAbsentSlot));
  CHECK(answer.stats.distances == 0);
  CHECK(scan_all(some.view(), none, {.k = 2}).slots.empty());
}

TEST_CASE("rows at an infinite distance are answered too, after all others") {
  const Vectors vectors(Metric::kL2, 2, {3e38F, 3e38F, 1, 1, -3e38F, 0});
  const Vectors query(Metric::kL2, 2, {-3e38F, -3e38F});
  CHECK(scan_all(vectors.view(), query, {.k = 3}).found(0).size() == 3);
}

TEST_CASE("a row set over other rows is refused") {
  const Vectors vectors = integer_vectors(Metric::kL2, 10, 4, 1);
  const RowSet rows = RowSet::all(11);
  CHECK_THROWS_WITH_AS(scan_all(vectors.view(), vectors, {.rows = &rows}),
                       "the row set covers 11 slots, the vectors 10", InvalidArgument);
}

TEST_CASE("a cancelled scan ends") {
  const Vectors vectors = integer_vectors(Metric::kL2, 10, 4, 1);
  CancelToken token;
  token.cancel();
  Answer answer(vectors.n, 1);
  const QueryBatch batch{vectors.bytes(), vectors.n, 1, nullptr, 0, &token};
  CHECK_THROWS_AS(scan(vectors.view(), batch, 0, {answer.slots.data(), answer.distances.data()}), Cancelled);
}

}  // namespace
}  // namespace vdb
