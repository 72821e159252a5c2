#include "codec/opq.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/thread_pool.h"
#include "core/matrix_product.h"
#include "core/procrustes.h"
#include "core/sample.h"

namespace vdb {
namespace {

constexpr std::size_t kRounds = 16;           // the authors' curves are flat after about twenty
constexpr std::size_t kFirstIterations = 4;   // of k-means before the first rotation
constexpr std::size_t kRoundIterations = 1;   // and after each: both steps of a round lower the same sum
constexpr std::size_t kRowsPerCentroid = 64;  // a round only needs a direction, not the final codebooks
constexpr std::size_t kRowsPerDim = 16;       // a rotation has dim^2 / 2 degrees of freedom
constexpr std::size_t kGrain = 64;

std::vector<float> identity(std::size_t dim) {
  std::vector<float> matrix(dim * dim);
  for (std::size_t i = 0; i < dim; ++i) matrix[i * dim + i] = 1.0F;
  return matrix;
}

// The sample with its greatest absolute value scaled to 1, so that no product overflows; empty where all are zero.
std::vector<float> scaled_sample(const MatrixView& rows, std::size_t count, std::uint64_t seed) {
  std::vector<float> sample;
  for (const std::size_t i : sample_rows(rows.n, count, seed)) {
    sample.insert(sample.end(), rows.row(i), rows.row(i) + rows.dim);
  }
  float largest = 0;
  for (const float value : sample) largest = std::max(largest, std::abs(value));
  if (!(largest > 0)) return {};
  for (float& value : sample) value /= largest;
  return sample;
}

std::vector<float> reconstructed(const MatrixView& rows, const ProductCodebook& codebook, std::size_t threads) {
  std::vector<float> out(rows.n * rows.dim);
  parallel_for({rows.n, kGrain, threads}, [&](const Chunk& chunk) {
    std::vector<std::uint8_t> code(codebook.shape().code_bytes());
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
      codebook.quantize(rows.row(i), code.data());
      codebook.reconstruct(code.data(), out.data() + i * rows.dim);
    }
  });
  return out;
}

}  // namespace

std::vector<float> train_rotation(const MatrixView& rows, const ProductShape& shape, const ProductTraining& training) {
  const std::size_t dim = shape.dim;
  const std::size_t wanted = std::max(kRowsPerCentroid * shape.centroids(), kRowsPerDim * dim);
  const std::vector<float> sample = scaled_sample(rows, wanted, training.seed);
  std::vector<float> rotation = identity(dim);
  if (sample.empty()) return rotation;
  const std::size_t n = sample.size() / dim;
  const std::vector<float> sample_columns = transposed({sample.data(), n, dim});

  std::vector<float> rotated = sample;
  ProductTraining effort = training;
  effort.iterations = kFirstIterations;
  effort.max_rows = n;
  ProductCodebook codebook = ProductCodebook::train({rotated.data(), n, dim}, shape, effort, nullptr);
  effort.iterations = kRoundIterations;
  std::vector<float> agreement(dim * dim);
  for (std::size_t round = 0; round < kRounds; ++round) {
    if (training.cancel != nullptr && training.cancel->poll()) throw Cancelled();
    const std::vector<float> coded = reconstructed({rotated.data(), n, dim}, codebook, training.threads);
    const std::vector<float> coded_columns = transposed({coded.data(), n, dim});
    multiply_by_transpose({coded_columns.data(), dim, n}, {sample_columns.data(), dim, n}, training.threads,
                          agreement.data());
    rotation = polar_factor(agreement, rotation, {dim, training.threads});
    multiply_by_transpose({sample.data(), n, dim}, {rotation.data(), dim, dim}, training.threads, rotated.data());
    codebook = ProductCodebook::train({rotated.data(), n, dim}, shape, effort, &codebook);
  }
  orthogonalize(rotation, {dim, training.threads});
  return rotation;
}

}  // namespace vdb
