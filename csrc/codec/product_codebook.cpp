#include "codec/product_codebook.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "base/thread_pool.h"
#include "core/kmeans.h"
#include "core/sample.h"

namespace vdb {
namespace {

std::size_t code_of(const ProductShape& shape, const std::uint8_t* code, std::size_t j) noexcept {
  if (shape.nbits == 8) return code[j];
  return j % 2 == 0 ? code[j / 2] & 15U : code[j / 2] >> 4U;
}

// Dimensions [begin, begin + width) of the chosen rows.
std::vector<float> piece_of(const MatrixView& rows, const std::vector<std::size_t>& chosen, std::size_t begin,
                            std::size_t width) {
  std::vector<float> piece(chosen.size() * width);
  for (std::size_t i = 0; i < chosen.size(); ++i) std::copy_n(rows.row(chosen[i]) + begin, width, &piece[i * width]);
  return piece;
}

double largest_norm_squared(const PqKernels::Columns& columns) {
  double largest = 0;
  for (std::size_t c = 0; c < columns.n; ++c) {
    double sum = 0;
    for (std::size_t d = 0; d < columns.dim; ++d) {
      const auto value = static_cast<double>(columns.data[d * columns.n + c]);
      sum += value * value;
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

}  // namespace

ProductCodebook::ProductCodebook(const ProductShape& shape, std::vector<float> columns)
    : shape_(shape), columns_(std::move(columns)) {
  double sum = 0;
  for (std::size_t j = 0; j < shape_.m; ++j) sum += largest_norm_squared(this->columns(j));
  max_norm_ = std::sqrt(sum);
}

ProductCodebook ProductCodebook::train(const MatrixView& rows, const ProductShape& shape,
                                       const ProductTraining& training, const ProductCodebook* initial) {
  const std::size_t n = shape.centroids();
  const std::size_t max_rows = training.max_rows == 0 ? kRowsPerCentroid * n : training.max_rows;
  const auto chosen = sample_rows(rows.n, max_rows, training.seed);
  const std::size_t k = std::min(n, chosen.size());
  std::vector<float> columns(n * shape.dim);
  // A sub-quantiser to each thread; k-means inside then runs on that one.
  parallel_for({shape.m, 1, training.threads}, [&](const Chunk& chunk) {
    const std::size_t j = chunk.begin;
    const std::size_t width = shape.width(j);
    const std::vector<float> piece = piece_of(rows, chosen, shape.begin(j), width);
    std::vector<float> start;
    if (initial != nullptr) {
      const auto before = initial->columns(j);
      start.resize(k * width);
      for (std::size_t i = 0; i < start.size(); ++i) start[i] = before.data[i % width * n + i / width];
    }
    const KMeansParams params{.k = k,
                              .iterations = training.iterations,
                              .seed = training.seed ^ splitmix64(j),
                              .threads = training.threads,
                              .initial = initial == nullptr ? nullptr : start.data()};
    const KMeans found = kmeans({piece.data(), chosen.size(), width}, params, {training.cancel});
    float* const out = columns.data() + n * shape.begin(j);
    for (std::size_t d = 0; d < width; ++d) {
      for (std::size_t c = 0; c < n; ++c) out[d * n + c] = found.centroids[(c < k ? c : 0) * width + d];
    }
  });
  return {shape, std::move(columns)};
}

void ProductCodebook::quantize(const float* row, std::uint8_t* code) const noexcept {
  const PqKernels::Nearest nearest = kernels().pq.nearest;
  if (shape_.nbits == 4) std::fill_n(code, shape_.code_bytes(), std::uint8_t{0});
  for (std::size_t j = 0; j < shape_.m; ++j) {
    float distance;
    const std::uint32_t at = nearest(row + shape_.begin(j), columns(j), &distance);
    if (shape_.nbits == 8) {
      code[j] = static_cast<std::uint8_t>(at);
    } else {
      code[j / 2] = static_cast<std::uint8_t>(code[j / 2] | (j % 2 == 0 ? at : at << 4U));
    }
  }
}

void ProductCodebook::reconstruct(const std::uint8_t* code, float* row) const noexcept {
  for (std::size_t j = 0; j < shape_.m; ++j) {
    const PqKernels::Columns from = columns(j);
    const float* const centroid = from.data + code_of(shape_, code, j);
    float* const to = row + shape_.begin(j);
    for (std::size_t d = 0; d < from.dim; ++d) to[d] = centroid[d * from.n];
  }
}

}  // namespace vdb
