#include "core/procrustes.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "core/matrix_product.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Random;

std::vector<float> normal_matrix(std::size_t n, std::size_t dim, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> matrix(n * dim);
  for (float& value : matrix) value = static_cast<float>(random.normal());
  return matrix;
}

std::vector<float> identity(std::size_t dim) {
  std::vector<float> matrix(dim * dim);
  for (std::size_t i = 0; i < dim; ++i) matrix[i * dim + i] = 1.0F;
  return matrix;
}

// trace(a^T b)
double agreement(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

std::vector<float> random_rotation(std::size_t dim, std::uint64_t seed) {
  std::vector<float> rotation = polar_factor(normal_matrix(dim, dim, seed), identity(dim), {dim});
  orthogonalize(rotation, {dim});
  return rotation;
}

// rotation^T scaled rotation: symmetric, so that its polar factor is the identity and `scales` its singular values.
std::vector<float> stretched(const std::vector<float>& rotation, const std::vector<double>& scales) {
  const std::size_t dim = scales.size();
  std::vector<float> out(dim * dim);
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t j = 0; j < dim; ++j) {
      double sum = 0;
      for (std::size_t s = 0; s < dim; ++s) {
        sum += scales[s] * static_cast<double>(rotation[s * dim + i]) * static_cast<double>(rotation[s * dim + j]);
      }
      out[i * dim + j] = static_cast<float>(sum);
    }
  }
  return out;
}

TEST_CASE("a product by a transpose is that of float64, whatever the sizes and threads") {
  for (const std::size_t n : {1U, 31U, 100U}) {
    for (const std::size_t dim : {1U, 7U, 300U}) {
      const auto a = normal_matrix(n, dim, 1);
      const auto b = normal_matrix(n + 9, dim, 2);
      std::vector<float> out(n * (n + 9));
      multiply_by_transpose({a.data(), n, dim}, {b.data(), n + 9, dim}, 2, out.data());
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n + 9; ++j) {
          double exact = 0;
          for (std::size_t d = 0; d < dim; ++d) {
            exact += static_cast<double>(a[i * dim + d]) * static_cast<double>(b[j * dim + d]);
          }
          CHECK(static_cast<double>(out[i * (n + 9) + j]) == doctest::Approx(exact).epsilon(1e-5).scale(10));
        }
      }
      const auto columns = transposed({a.data(), n, dim});
      CHECK(transposed({columns.data(), dim, n}) == a);
      CHECK(columns[(dim - 1) * n] == a[dim - 1]);
    }
  }
}

TEST_CASE("the polar factor of a random matrix is orthogonal and leaves a symmetric factor") {
  for (const std::size_t dim : {1U, 2U, 5U, 33U, 150U}) {
    CAPTURE(dim);
    const auto matrix = normal_matrix(dim, dim, dim);
    std::vector<float> best = polar_factor(matrix, identity(dim), {dim});
    orthogonalize(best, {dim});
    CHECK(orthogonality_error(best, {dim}) < 1e-6 * std::sqrt(static_cast<double>(dim)));
    // Best means that best^T matrix is symmetric.
    std::vector<float> product(dim * dim);
    const auto left = transposed({best.data(), dim, dim});
    const auto right = transposed({matrix.data(), dim, dim});
    multiply_by_transpose({left.data(), dim, dim}, {right.data(), dim, dim}, 1, product.data());
    double skew = 0;
    for (std::size_t i = 0; i < dim; ++i) {
      for (std::size_t j = 0; j < dim; ++j) {
        skew = std::max(skew, std::abs(static_cast<double>(product[i * dim + j] - product[j * dim + i])));
      }
    }
    CHECK(skew < 0.02 * std::sqrt(static_cast<double>(dim)));
    CHECK(agreement(best, matrix) >= agreement(identity(dim), matrix));
  }
}

TEST_CASE("a rotation is its own polar factor") {
  for (const std::size_t dim : {1U, 3U, 64U}) {
    const auto rotation = random_rotation(dim, 3);
    const auto found = polar_factor(rotation, identity(dim), {dim});
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - rotation[i]) < 2e-3F);
  }
}

TEST_CASE("directions without weight stay where they were") {
  constexpr std::size_t kDim = 40;
  const auto axes = random_rotation(kDim, 4);
  for (const std::size_t rank : {0U, 1U, 20U, 39U}) {
    CAPTURE(rank);
    std::vector<double> scales(kDim);
    for (std::size_t i = 0; i < rank; ++i) scales[i] = std::pow(0.7, static_cast<double>(i));
    const auto matrix = stretched(axes, scales);
    const auto found = polar_factor(matrix, identity(kDim), {kDim});
    CHECK(orthogonality_error(found, {kDim}) < 1e-3);
    CHECK(agreement(found, identity(kDim)) > 0.999 * kDim);
    const auto turned = polar_factor(matrix, random_rotation(kDim, 5), {kDim});
    CHECK(orthogonality_error(turned, {kDim}) < 1e-3);
    double total = 0;
    for (const double scale : scales) total += scale;
    CHECK(agreement(turned, matrix) >= 0.999 * total);
  }
}

TEST_CASE("what has no polar factor leaves the previous rotation") {
  const auto previous = random_rotation(6, 6);
  std::vector<float> matrix(36);
  CHECK(polar_factor(matrix, previous, {6}) == previous);
  matrix[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(polar_factor(matrix, previous, {6}) == previous);
  matrix[5] = std::numeric_limits<float>::infinity();
  CHECK(polar_factor(matrix, previous, {6}) == previous);
}

TEST_CASE("huge and tiny matrices have the polar factor of their multiples") {
  const auto matrix = normal_matrix(12, 12, 7);
  const auto expected = polar_factor(matrix, identity(12), {12});
  for (const float scale : {0x1p-90F, 0x1p90F}) {
    auto scaled = matrix;
    for (float& value : scaled) value *= scale;
    const auto found = polar_factor(scaled, identity(12), {12});
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(std::abs(found[i] - expected[i]) < 1e-4F);
  }
}

TEST_CASE("a matrix that is no rotation is far from one") {
  CHECK(orthogonality_error(identity(7), {7}) == 0);
  auto matrix = identity(7);
  matrix[8] = 2.0F;
  CHECK(orthogonality_error(matrix, {7}) == doctest::Approx(3));
  matrix = identity(7);
  matrix[1] = 1.0F;  // rows (1, 1) and (0, 1): off by 1 on the diagonal and twice by 1 beside it
  CHECK(orthogonality_error(matrix, {7}) == doctest::Approx(std::sqrt(3.0)));
}

}  // namespace
}  // namespace vdb
