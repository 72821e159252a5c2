#include "core/procrustes.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "core/matrix_product.h"

namespace vdb {
namespace {

// A step maps each singular value x to a x (3 - a^2 x^2) / 2. The scale a that lets small values grow fastest is
// sqrt(3 / (1 + l + l^2)) for values from l to 1 (Chen and Chow 2014); at its limit sqrt 3 the largest would vanish, so
// it stays below.
constexpr float kMaxScale = 1.6F;
constexpr int kMaxSteps = 60;
constexpr float kConverged = 1e-5F;  // entries of R R^T - I: float32 gets no further at 1,024 dimensions
constexpr float kUsable = 1e-2F;
constexpr float kUnscaled = 0.99F;
constexpr std::size_t kGrain = 8;

double frobenius(const std::vector<float>& matrix) {
  double sum = 0;
  for (const float value : matrix) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

// An upper bound of the largest singular value: sqrt(||M||_1 ||M||_inf), or the Frobenius norm where that is less.
double norm_bound(const std::vector<float>& matrix, std::size_t dim) {
  std::vector<double> columns(dim);
  double widest_row = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    double row = 0;
    for (std::size_t j = 0; j < dim; ++j) {
      const double size = std::abs(static_cast<double>(matrix[i * dim + j]));
      row += size;
      columns[j] += size;
    }
    widest_row = std::max(widest_row, row);
  }
  return std::min(std::sqrt(widest_row * *std::max_element(columns.begin(), columns.end())), frobenius(matrix));
}

// x x^T for the rows of x.
std::vector<float> gram_of(const std::vector<float>& x, const PolarParams& params) {
  std::vector<float> gram(x.size());
  const MatrixView rows{x.data(), params.dim, params.dim};
  multiply_by_transpose(rows, rows, params.threads, gram.data());
  return gram;
}

float distance_to_identity(const std::vector<float>& gram, std::size_t dim) {
  float farthest = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    for (std::size_t j = 0; j < dim; ++j) {
      const float distance = std::abs(gram[i * dim + j] - (i == j ? 1.0F : 0.0F));
      farthest = distance <= farthest ? farthest : distance;  // a NaN stays
    }
  }
  return farthest;
}

void step(std::vector<float>& x, const std::vector<float>& gram, float scale, const PolarParams& params) {
  const std::size_t dim = params.dim;
  const std::vector<float> columns = transposed({x.data(), dim, dim});
  std::vector<float> cubed(x.size());
  multiply_by_transpose({gram.data(), dim, dim}, {columns.data(), dim, dim}, params.threads, cubed.data());
  const float cube_scale = 0.5F * scale * scale * scale;
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1.5F * scale * x[i] - cube_scale * cubed[i];
}

}  // namespace

std::vector<float> polar_factor(const std::vector<float>& matrix, const std::vector<float>& previous,
                                const PolarParams& params) {
  const double average = frobenius(matrix) / std::sqrt(static_cast<double>(params.dim));
  if (!(average > 0) || !std::isfinite(average)) return previous;
  const auto floor = static_cast<float>(average * static_cast<double>(kPolarFloor));
  std::vector<float> x(matrix.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = matrix[i] + floor * previous[i];
  const double bound = norm_bound(x, params.dim);
  for (float& value : x) value = static_cast<float>(static_cast<double>(value) / bound);

  float least = static_cast<float>(static_cast<double>(floor) / bound);  // singular values, if the floor holds
  float off = 1;
  for (int i = 0; i < kMaxSteps; ++i) {
    const std::vector<float> gram = gram_of(x, params);
    off = distance_to_identity(gram, params.dim);
    if (!(off >= kConverged)) break;
    const float scale = std::min(kMaxScale, std::sqrt(3.0F / (1.0F + least + least * least)));
    step(x, gram, scale, params);
    least = 0.5F * scale * least * (3.0F - scale * scale * least * least);
    // From here no scaling, which converges from anywhere in (0, sqrt 3): also for values that were below the floor.
    if (least > kUnscaled) least = 1.0F;
  }
  return off < kUsable ? x : previous;
}

void orthogonalize(std::vector<float>& rotation, const PolarParams& params) {
  const std::size_t dim = params.dim;
  std::vector<float> better(rotation.size());
  parallel_for({dim, kGrain, params.threads}, [&](const Chunk& chunk) {
    std::vector<double> row(dim);
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
      for (std::size_t d = 0; d < dim; ++d) row[d] = 1.5 * static_cast<double>(rotation[i * dim + d]);
      for (std::size_t j = 0; j < dim; ++j) {
        double product = 0;
        for (std::size_t d = 0; d < dim; ++d) {
          product += static_cast<double>(rotation[i * dim + d]) * static_cast<double>(rotation[j * dim + d]);
        }
        const double half = 0.5 * product;
        for (std::size_t d = 0; d < dim; ++d) row[d] -= half * static_cast<double>(rotation[j * dim + d]);
      }
      for (std::size_t d = 0; d < dim; ++d) better[i * dim + d] = static_cast<float>(row[d]);
    }
  });
  rotation.swap(better);
}

double orthogonality_error(const std::vector<float>& rotation, const PolarParams& params) {
  const std::size_t dim = params.dim;
  std::vector<double> rows(dim);
  parallel_for({dim, kGrain, params.threads}, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        double sums[4] = {};
        const float* const a = rotation.data() + i * dim;
        const float* const b = rotation.data() + j * dim;
        std::size_t d = 0;
        for (; d + 4 <= dim; d += 4) {
          for (std::size_t s = 0; s < 4; ++s) sums[s] += static_cast<double>(a[d + s]) * static_cast<double>(b[d + s]);
        }
        for (; d < dim; ++d) sums[0] += static_cast<double>(a[d]) * static_cast<double>(b[d]);
        const double off = (sums[0] + sums[1]) + (sums[2] + sums[3]) - (i == j ? 1.0 : 0.0);
        rows[i] += (i == j ? 1.0 : 2.0) * off * off;
      }
    }
  });
  double sum = 0;
  for (const double row : rows) sum += row;
  return std::sqrt(sum);
}

}  // namespace vdb
