// 4-bit product quantisation over blocks of 32 rows (Andre, Kermarrec and Le Scouarnec, VLDB 2015): the table is
// rounded to bytes for each query, so that it stays in registers, and the rounding becomes part of the error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/estimate.h"
#include "codec/product_quantizer.h"
#include "simd/kernels.h"

namespace vdb {

// Blocks of a 4-bit product quantizer. The codes of block b begin at codes + b * bytes_per_block(shape); row i of a
// block has the radius at radii + 32 * b + i.
struct ProductBlocks {
  static constexpr std::size_t kRows = 32;

  static std::size_t count(std::size_t rows) noexcept { return (rows + kRows - 1) / kRows; }
  static std::size_t bytes_per_block(const ProductShape& shape) noexcept { return shape.code_bytes() * kRows; }

  const std::uint8_t* codes;
  const float* radii;
  std::size_t n_blocks;
};

// Fills count(records.n) blocks; rows behind the last have code 0 and radius 0. InvalidArgument for 8-bit codes.
void pack_blocks(const ProductQuantizer& quantizer, const CodeRows& records, std::uint8_t* codes, float* radii);

// A query bound to blocks; immutable, no allocation in use.
class ProductScan {
 public:
  // InvalidArgument for 8-bit codes.
  ProductScan(const ProductQuantizer& quantizer, const float* query);

  // (n_blocks, 32) sums of bytes: squared l2 or negative inner product of the decoded row is bias() + scale() * sum,
  // within error(). For comparing many rows with a threshold before any float is computed.
  void sums(const ProductBlocks& blocks, std::uint16_t* out) const noexcept;
  float bias() const noexcept { return bias_; }
  float scale() const noexcept { return scale_; }
  float error() const noexcept { return error_; }

  // What a sum says about the true distance of a row with this radius.
  Estimate estimate(std::uint16_t sum, float radius) const noexcept {
    return bound_.of(bias_ + scale_ * static_cast<float>(sum), error_, radius);
  }
  // (n_blocks, 32).
  void estimate(const ProductBlocks& blocks, Estimate* out) const noexcept;

 private:
  ProductScan(const ProductShape& shape, const ProductQuantizer::Bound& bound);

  std::size_t m_;                    // even
  std::vector<std::uint8_t> table_;  // (m_, 16)
  float bias_ = 0;
  float scale_ = 0;
  float error_ = 0;  // +inf where the table overflows, and the bias then too
  ProductBound bound_;
  PqKernels::Scan4 scan_;
};

}  // namespace vdb
