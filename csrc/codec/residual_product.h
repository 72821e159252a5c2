// Product codes of residuals to centroids (Jegou, Douze and Schmid, TPAMI 2011), of 4 bits in blocks that are scanned
// in registers (Andre, Kermarrec and Le Scouarnec, VLDB 2015) or of 8 bits read from tables. Factors of each row make
// its estimate exact along its residual, so tables are made once a query and not for each list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "codec/estimate.h"
#include "codec/list_codec.h"
#include "codec/product_quantizer.h"
#include "core/matrix_view.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

class ResidualProduct {
 public:
  struct Params {
    bool l2;  // else inner product
    std::size_t m;
    std::size_t nbits;  // 4 or 8
    bool opq;
    std::uint64_t seed;
    std::size_t threads;
  };
  // Residuals of a sample, those of a list one behind the other, and the list of each.
  struct Sample {
    MatrixView residuals;
    std::span<const std::uint32_t> lists;
  };

  // `mean` (dim,) is what queries are taken relative to. InvalidArgument as ProductQuantizer::train; Cancelled.
  static ResidualProduct train(const Sample& sample, std::vector<float> mean, const Params& params,
                               CancelToken* cancel);
  static ResidualProduct deserialize(Bytes bytes);
  std::vector<unsigned char> serialize() const;

  const std::vector<float>& mean() const noexcept { return mean_; }
  bool l2() const noexcept { return l2_; }
  std::size_t dim() const noexcept { return quantizer_.dim(); }
  const ProductShape& shape() const noexcept { return quantizer_.shape(); }
  std::size_t memory_bytes() const noexcept { return quantizer_.memory_bytes() + 2 * mean_.size() * sizeof(float); }
  bool interleaved() const noexcept { return shape().nbits == 4; }
  // Of 4 bits as many as the kernel reads together.
  std::size_t code_bytes() const noexcept { return interleaved() ? (shape().m + 3) / 4 * 2 : (shape().m + 1) / 2 * 2; }
  static constexpr std::size_t extra_bytes() noexcept { return 0; }

  class Encoder;
  class Query;

 private:
  ResidualProduct(ProductQuantizer quantizer, std::vector<float> mean, bool l2);
  // Sets deviation_ by pairs of rows of one list: how far a code's product with the one's residual is off for the
  // other.
  void calibrate(const Sample& sample);

  ProductQuantizer quantizer_;
  std::vector<float> mean_;
  std::vector<float> rotated_mean_;
  bool l2_;
  float deviation_ = 0;  // of a product, for each unit of a query's reach
};

// Not thread-safe: it keeps the memory of one encoding. The codec must outlive it.
class ResidualProduct::Encoder {
 public:
  explicit Encoder(const ResidualProduct& codec);

  void encode(const float* row, const float* centroid, const ListRecord& out);

 private:
  const ResidualProduct& codec_;
  std::vector<float> turned_;    // by the learned rotation: the row, then its residual
  std::vector<float> centroid_;  // and the centroid
  std::vector<float> coded_;
};

class ResidualProduct::Query {
 public:
  // The codec must outlive it.
  explicit Query(const ResidualProduct& codec);

  static constexpr bool refines() noexcept { return false; }

  // Allocates nothing.
  void bind(const float* query);
  // What comes is of this list, and estimates are lower bounds: less `deviations` of their standard deviations.
  void enter(const ListTerms& list, float deviations) noexcept;

  // Lower bounds of the 32 rows of a block into out; a bit for each below the threshold.
  std::uint32_t estimate(const ListBlock& block, float threshold, float* out) const noexcept;
  // How far the bound of a row with this multiplier is below its estimate.
  float margin(float multiply) const noexcept { return -multiply * margin_; }

 private:
  void bind_bytes() noexcept;

  const ResidualProduct* codec_;
  PqKernels kernels_;
  PackedScanKernels::EstimateBf16 estimate_;
  std::vector<float> query_;
  std::vector<float> turned_;
  AlignedBuffer<float> partial_;       // (m, 2^nbits) products with the codebook
  std::vector<float> least_;           // (m,) of each row of them
  AlignedBuffer<std::uint8_t> bytes_;  // (m, 16), the same in bytes, of 4 bits
  PackedScanKernels::Query table_{};
  float rounding_ = 0;  // the standard deviation of what bytes lose of a product
  ListTerms list_{};
  float margin_ = 0;
};

}  // namespace vdb
