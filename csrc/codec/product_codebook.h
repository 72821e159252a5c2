// The codebooks of product quantisation (Jegou, Douze and Schmid, TPAMI 2011): the dimensions are cut into m pieces of
// nearly equal width, and each piece of a row is replaced by the nearest of 2^nbits centroids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cancel.h"
#include "core/matrix_view.h"
#include "simd/kernels.h"

namespace vdb {

struct ProductShape {
  std::size_t dim;
  std::size_t m;      // from 1 to dim
  std::size_t nbits;  // 8 or 4

  std::size_t centroids() const noexcept { return std::size_t{1} << nbits; }
  // Sub-quantiser j has dimensions [begin(j), begin(j + 1)).
  std::size_t begin(std::size_t j) const noexcept { return j * dim / m; }
  std::size_t width(std::size_t j) const noexcept { return begin(j + 1) - begin(j); }
  std::size_t max_width() const noexcept { return (dim + m - 1) / m; }
  // 8 bits: byte j. 4 bits: byte j / 2, its low nibble where j is even.
  std::size_t code_bytes() const noexcept { return nbits == 8 ? m : (m + 1) / 2; }
};

struct ProductTraining {
  std::size_t iterations;
  std::uint64_t seed;
  std::size_t threads;
  CancelToken* cancel;
  std::size_t max_rows = 0;  // of more, a sample is taken; 0: kRowsPerCentroid for each centroid
};

class ProductCodebook {
 public:
  static constexpr std::size_t kRowsPerCentroid = 256;

  // `columns` holds each sub-quantiser's (width, 2^nbits) centroids by dimension, one after the other.
  ProductCodebook(const ProductShape& shape, std::vector<float> columns);

  // Of fewer rows than 2^nbits each is a centroid, and copies of the first fill up the rest. `initial` may be null.
  static ProductCodebook train(const MatrixView& rows, const ProductShape& shape, const ProductTraining& training,
                               const ProductCodebook* initial);

  const ProductShape& shape() const noexcept { return shape_; }
  const std::vector<float>& values() const noexcept { return columns_; }
  PqKernels::Columns columns(std::size_t j) const noexcept {
    return {columns_.data() + shape_.centroids() * shape_.begin(j), shape_.centroids(), shape_.width(j)};
  }
  // No reconstructed row is longer.
  double max_norm() const noexcept { return max_norm_; }

  // Writes shape().code_bytes() bytes.
  void quantize(const float* row, std::uint8_t* code) const noexcept;
  void reconstruct(const std::uint8_t* code, float* row) const noexcept;

 private:
  ProductShape shape_;
  std::vector<float> columns_;
  double max_norm_ = 0;
};

}  // namespace vdb
