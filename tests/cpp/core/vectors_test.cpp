#include "core/vectors.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <utility>

#include "base/half.h"
#include "data.h"

namespace vdb {
namespace {

TEST_CASE("the inverse norm is that of double arithmetic") {
  for (std::size_t dim = 1; dim <= 70; ++dim) {
    const testing::Vectors vectors = testing::uniform_vectors(Metric::kCosine, 1, dim, dim);
    double squared = 0;
    for (const float value : vectors.values) squared += double{value} * double{value};
    const double expected = 1 / std::sqrt(squared);
    CHECK(double{inverse_norm(vectors.row(0), dim, Dtype::kFloat32)} == doctest::Approx(expected).epsilon(1e-7));
  }
}

TEST_CASE("the norm of very long and very short rows neither overflows nor vanishes") {
  const std::vector<float> large(8, 1e30F);
  const std::vector<float> small(8, 1e-30F);
  CHECK(double{inverse_norm(large.data(), 8, Dtype::kFloat32)} == doctest::Approx(1e-30 / std::sqrt(8.0)));
  CHECK(double{inverse_norm(small.data(), 8, Dtype::kFloat32)} == doctest::Approx(1e30 / std::sqrt(8.0)));
}

TEST_CASE("a zero row has an infinite inverse norm") {
  const std::vector<float> zeros(5, 0.0F);
  CHECK(inverse_norm(zeros.data(), 5, Dtype::kFloat32) == std::numeric_limits<float>::infinity());
}

TEST_CASE("the norms of many rows are the norms of each") {
  const testing::Vectors vectors = testing::uniform_vectors(Metric::kCosine, 10'000, 3, 1);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < vectors.n; ++i)
    wrong += vectors.norms[i] != inverse_norm(vectors.row(i), 3, Dtype::kFloat32) ? 1U : 0U;
  CHECK(wrong == 0);
}

TEST_CASE("the first row with a value that is not finite is found, wherever the value stands") {
  testing::Vectors vectors = testing::uniform_vectors(Metric::kL2, 20, 7, 1);
  CHECK(first_nonfinite_row(vectors.view()) == 20);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    for (std::size_t at = 0; at < vectors.values.size(); ++at) {
      const float before = std::exchange(vectors.values[at], bad);
      CHECK(first_nonfinite_row(vectors.view()) == at / 7);
      vectors.values[at] = before;
    }
  }
  vectors.values[3] = std::numeric_limits<float>::max();
  vectors.values[4] = std::numeric_limits<float>::denorm_min();
  CHECK(first_nonfinite_row(vectors.view()) == 20);
  CHECK(first_nonfinite_row(VectorView{nullptr, 0, 7}) == 0);
}

TEST_CASE("a pass over rows that lie close together finds them where they are read in order") {
  const testing::Vectors here = testing::uniform_vectors(Metric::kL2, 100, 3, 1);
  const testing::Vectors there = testing::uniform_vectors(Metric::kL2, 100, 3, 2);
  VectorView view = here.view();
  CHECK(for_pass(view, 100, 100).data == view.data);
  view.in_order = there.view().data;
  CHECK(for_pass(view, 100, 100).data == view.in_order);
  CHECK(for_pass(view, 4, 100).data == view.in_order);
  CHECK(for_pass(view, 3, 100).data == view.data);
  CHECK(for_pass(view, 0, 0).n == 100);
}

TEST_CASE("a row is read back as stored, and has the norm of what was stored") {
  const testing::Vectors vectors = testing::integer_vectors(Metric::kCosine, 9, 21, 4);
  for (const Dtype dtype : testing::kDtypes) {
    CAPTURE(name_of(dtype));
    const testing::StoredVectors stored(vectors, dtype);
    CHECK(stored.norms == vectors.norms);
    for (Slot slot = 0; slot < 9; ++slot) {
      std::vector<float> row(21);
      read_row(stored.view(), slot, row.data());
      CHECK(std::equal(row.begin(), row.end(), vectors.row(slot)));
    }
  }
}

TEST_CASE("a 16-bit float is found not to be finite by its own exponent") {
  for (const Dtype dtype : {Dtype::kFloat16, Dtype::kBfloat16}) {
    const bool brain = dtype == Dtype::kBfloat16;
    for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
      const std::uint16_t values[2] = {0, static_cast<std::uint16_t>(bits)};
      const VectorView rows{reinterpret_cast<const std::byte*>(values), 2, 1, Metric::kL2, nullptr, dtype};
      const bool finite = std::isfinite(brain ? from_bfloat16(values[1]) : from_float16(values[1]));
      if (first_nonfinite_row(rows) != (finite ? 2U : 1U)) FAIL("value " << bits);
    }
  }
  const testing::Vectors ones(Metric::kL2, 2, {1, 1, 1, 1});
  CHECK(first_nonfinite_row(testing::StoredVectors(ones, Dtype::kInt8).view()) == 2);
}

TEST_CASE("a metric is parsed from its name and from nothing else") {
  for (const Metric metric : testing::kMetrics) CHECK(parse_metric(name_of(metric)) == metric);
  CHECK_THROWS_WITH_AS(parse_metric("L2"), "unknown metric 'L2'; expected l2, cosine, ip or custom", InvalidArgument);
  CHECK_THROWS_AS(parse_metric(""), InvalidArgument);
}

}  // namespace
}  // namespace vdb
