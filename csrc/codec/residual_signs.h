// RaBitQ codes of residuals to centroids (Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025): the signs in blocks that
// are scanned in registers, and with more than one bit a dimension the rest of the code beside them, for the rows that
// the signs leave among the nearest. The query is rotated and rounded once for all lists.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "codec/estimate.h"
#include "codec/list_codec.h"
#include "codec/sign_table.h"
#include "core/rotation.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

class ResidualSigns {
 public:
  struct Params {
    std::size_t dim;
    bool l2;           // else inner product
    std::size_t bits;  // of a dimension, 1 to 8
    std::uint64_t seed;
  };

  // `mean` (dim,) is what queries are taken relative to. InvalidArgument where a parameter is out of range.
  ResidualSigns(const Params& params, std::vector<float> mean);
  static ResidualSigns deserialize(Bytes bytes);
  std::vector<unsigned char> serialize() const;

  const Params& params() const noexcept { return params_; }
  const std::vector<float>& mean() const noexcept { return mean_; }
  bool l2() const noexcept { return params_.l2; }
  std::size_t dim() const noexcept { return params_.dim; }
  std::size_t memory_bytes() const noexcept { return mean_.size() * 2 * sizeof(float) + rotation_.memory_bytes(); }
  static constexpr bool interleaved() noexcept { return true; }
  std::size_t code_bytes() const noexcept { return padded() / 8; }
  std::size_t extra_bytes() const noexcept { return extra_bytes_; }

  class Encoder;
  class Query;

 private:
  // Of all bits; error is for each unit of a query's reach, 1.9 standard deviations as in the paper.
  struct FullFactors {
    float add;
    float rescale;
    float error;
  };

  std::size_t padded() const noexcept { return rotation_.padded_dim(); }
  std::span<const CodeKernels::Part> parts() const noexcept { return {parts_.data(), n_parts_}; }

  Params params_;
  Rotation rotation_;
  std::vector<float> mean_;
  std::vector<float> rotated_mean_;           // (padded,)
  std::array<CodeKernels::Part, 3> parts_{};  // behind the signs
  std::size_t n_parts_ = 0;
  std::size_t extra_bytes_ = 0;
};

// Not thread-safe: it keeps the memory of one encoding. The codec must outlive it.
class ResidualSigns::Encoder {
 public:
  explicit Encoder(const ResidualSigns& codec);

  void encode(const float* row, const float* centroid, const ListRecord& out);

 private:
  void encode_extra(const ResidualSums& signs, std::uint8_t* out);

  const ResidualSigns& codec_;
  std::vector<float> residual_;  // all rotated
  std::vector<float> node_;
  std::vector<float> centred_;
  std::vector<std::uint8_t> values_;
};

class ResidualSigns::Query {
 public:
  // The codec must outlive it.
  explicit Query(const ResidualSigns& codec);

  bool refines() const noexcept { return codec_->extra_bytes() != 0; }

  // Allocates nothing.
  void bind(const float* query);
  // What comes is of this list, and estimates are lower bounds: less `deviations` of their standard deviations.
  void enter(const ListTerms& list, float deviations) noexcept;

  // Lower bounds of the 32 rows of a block into out; a bit for each below the threshold.
  std::uint32_t estimate(const ListBlock& block, float threshold, float* out) const noexcept {
    return estimate_(now_, block.codes, block.factors, {list_.distance, threshold}, out);
  }
  // How far the bound of a row with this multiplier is below its estimate.
  float margin(float multiply) const noexcept { return -multiply * margin_; }
  // Of all bits of row `lane` of a block. Only where it refines().
  Estimate refine(const std::uint8_t* codes, std::size_t lane, const std::uint8_t* extra) const noexcept;

 private:
  const ResidualSigns* codec_;
  PackedScanKernels::EstimateBf16 estimate_;
  CodeKernels kernels_;
  SignTable table_;
  std::vector<float> centred_;        // the rotated query less the mean
  std::vector<std::uint8_t> levels_;  // of its values against longer codes
  AlignedBuffer<std::int8_t> values_;
  float scale_ = 0;  // a product with all bits of a code is scale * integer + base
  float base_ = 0;
  float error_ = 0;  // 1.9 standard deviations for each unit of a rescale
  PackedScanKernels::Query now_{};
  ListTerms list_{};
  float margin_ = 0;
};

}  // namespace vdb
