#include "core/distance.h"

#include <doctest/doctest.h>

#include <cmath>

#include "core/neighbor.h"
#include "data.h"

namespace vdb {
namespace {

using testing::uniform_vectors;
using testing::Vectors;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// What the user sees, in double.
double reported_distance(Metric metric, const float* a, const float* b, std::size_t dim) {
  double squared = 0;
  double product = 0;
  double norm_a = 0;
  double norm_b = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double x = double{a[i]};
    const double y = double{b[i]};
    squared += (x - y) * (x - y);
    product += x * y;
    norm_a += x * x;
    norm_b += y * y;
  }
  switch (metric) {
    case Metric::kL2: return std::sqrt(squared);
    case Metric::kCosine: return 1 - product / std::sqrt(norm_a * norm_b);
    case Metric::kInnerProduct: return -product;
    case Metric::kCustom: break;
  }
  return 0;
}

TEST_CASE("a distance that is no number counts as infinitely far, every other stays") {
  CHECK(ordered(kNan) == kInfinity);
  CHECK(ordered(-kNan) == kInfinity);
  CHECK(ordered(kInfinity) == kInfinity);
  CHECK(ordered(-kInfinity) == -kInfinity);
  CHECK(ordered(0.0F) == 0.0F);
  CHECK(ordered(-3.5F) == -3.5F);
}

TEST_CASE("each metric reports its definition") {
  for (const Metric metric : testing::kMetrics) {
    for (const std::size_t dim : {1U, 3U, 8U, 17U, 100U}) {
      CAPTURE(name_of(metric));
      CAPTURE(dim);
      const Vectors vectors = uniform_vectors(metric, 10, dim, dim);
      const Vectors queries = uniform_vectors(metric, 3, dim, dim + 1);
      for (std::size_t q = 0; q < queries.n; ++q) {
        with_distance(vectors.view(), queries.row(q), [&]<class Distance>(const Distance& distance) {
          for (Slot slot = 0; slot < vectors.n; ++slot) {
            const double expected = reported_distance(metric, queries.row(q), vectors.row(slot), dim);
            const double actual = double{Distance::reported(distance(slot))};
            CHECK(std::abs(actual - expected) < 2e-6 * (1 + std::abs(expected)) * std::sqrt(static_cast<double>(dim)));
          }
        });
      }
    }
  }
}

TEST_CASE("four at a time, one at a time and in a list give the same bits") {
  for (const Metric metric : testing::kMetrics) {
    const Vectors vectors = uniform_vectors(metric, 50, 33, 4);
    with_distance(vectors.view(), vectors.row(7), [&]<class Distance>(const Distance& distance) {
      const std::array<Slot, 4> slots{9, 3, 3, 49};
      std::array<float, 4> four;
      distance.x4(slots.data(), four.data());
      for (std::size_t i = 0; i < 4; ++i) CHECK(four[i] == distance(slots[i]));
      for (const std::size_t n : {0U, 1U, 2U, 3U, 4U, 5U, 13U, 127U, 128U, 129U, 300U}) {
        std::vector<Slot> list;
        for (std::size_t i = 0; i < n; ++i) list.push_back(static_cast<Slot>(i * 17 % 50));
        std::vector<Slot> visited;
        for_each_distance(distance, list, [&](Slot slot, float d) {
          visited.push_back(slot);
          CHECK(d == distance(slot));
        });
        CHECK(visited == list);
        std::vector<Slot> padded = list;
        padded.resize(measured_room(n), Slot{49});
        std::vector<float> measured(measured_room(n));
        distance.measure({padded.data(), n}, measured.data());
        for (std::size_t i = 0; i < n; ++i) CHECK(measured[i] == distance(list[i]));
      }
    });
  }
}

TEST_CASE("a stored row as the query is at the same distance as its copy") {
  for (const Metric metric : testing::kMetrics) {
    const Vectors vectors = uniform_vectors(metric, 20, 12, 8);
    with_distance(vectors.view(), vectors.row(5), [&]<class Distance>(const Distance& bound) {
      const Distance stored(vectors.view(), Slot{5});
      for (Slot slot = 0; slot < vectors.n; ++slot) CHECK(stored(slot) == bound(slot));
    });
  }
}

TEST_CASE("each metric reports its definition of the values as stored, whatever their dtype") {
  for (const Metric metric : testing::kMetrics) {
    for (const Dtype dtype : testing::kDtypes) {
      CAPTURE(name_of(metric));
      CAPTURE(name_of(dtype));
      Vectors scaled = uniform_vectors(metric, 12, 67, 3);
      for (float& value : scaled.values) value *= 100;
      const testing::StoredVectors vectors(scaled, dtype);
      const VectorView view = vectors.view();
      std::vector<float> rows(view.n * view.dim);
      for (Slot slot = 0; slot < view.n; ++slot) read_row(view, slot, rows.data() + slot * view.dim);
      with_distance(view, view.row(0), [&]<class Distance>(const Distance& distance) {
        const Distance stored(view, Slot{0});
        for (Slot slot = 0; slot < view.n; ++slot) {
          const double expected = reported_distance(metric, rows.data(), rows.data() + slot * view.dim, view.dim);
          CHECK(double{Distance::reported(distance(slot))} == doctest::Approx(expected).epsilon(1e-5));
          CHECK(stored(slot) == distance(slot));
        }
        const std::array<Slot, 4> slots{9, 3, 3, 11};
        std::array<float, 4> four;
        distance.x4(slots.data(), four.data());
        for (std::size_t i = 0; i < 4; ++i) CHECK(four[i] == distance(slots[i]));
      });
    }
  }
}

TEST_CASE("a zero row is infinitely far under cosine, whichever side it stands on") {
  const Vectors vectors(Metric::kCosine, 2, {0, 0, 3, 4});
  const float query[] = {1, 2};
  const CosineDistance to_query(vectors.view(), query);
  CHECK(to_query(0) == kInfinity);
  CHECK(to_query(1) < 1);
  CHECK(CosineDistance(vectors.view(), vectors.row(0))(1) == kInfinity);
  CHECK(CosineDistance(vectors.view(), Slot{0})(1) == kInfinity);
}

TEST_CASE("values whose distance overflows are infinitely far, never a NaN") {
  const Vectors vectors(Metric::kL2, 2, {3e38F, 3e38F, -3e38F, 3e38F, 0, 0, 1, 1});
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    VectorView view = vectors.view();
    view.metric = metric;
    const float query[] = {3e38F, -3e38F};
    with_distance(view, query, [&](const auto& distance) {
      const std::array<Slot, 4> slots{0, 1, 2, 3};
      std::array<float, 4> four;
      distance.x4(slots.data(), four.data());
      for (const float d : four) CHECK_FALSE(std::isnan(d));
      for (const Slot slot : slots) CHECK(distance(slot) == four[slot]);
    });
  }
}

TEST_CASE("neighbours are ordered by distance, then slot") {
  CHECK(Neighbor{1, 9} < Neighbor{2, 1});
  CHECK(Neighbor{1, 1} < Neighbor{1, 2});
  CHECK_FALSE(Neighbor{1, 1} < Neighbor{1, 1});
  CHECK_FALSE(Neighbor{2, 1} < Neighbor{1, 9});
  CHECK(Neighbor{1, 1} == Neighbor{1, 1});
}

}  // namespace
}  // namespace vdb
