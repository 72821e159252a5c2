// SQ8: a byte per dimension, with a minimum and a step of its own for each row (locally adaptive quantisation:
// Aguerrebere et al., VLDB 2023, LVQ-8), after the mean of a sample is taken off. The record also holds the length of
// what the code lost, so a distance from codes comes with an interval that surely holds the true one (Cauchy-Schwarz
// and the triangle inequality, rounding of float32 included): an exact search reads few vectors beside the codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "codec/estimate.h"
#include "codec/training.h"
#include "core/metric.h"
#include "core/slot.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

struct ScalarQuantizerParams {
  Metric metric = Metric::kL2;  // kL2 or kInnerProduct
};

class ScalarQuantizer {
 public:
  static constexpr bool kBounded = true;  // Estimate::error is a guarantee

  // The mean of the sample; no rows give a mean of zero.
  static ScalarQuantizer train(const TrainingRows& rows, const ScalarQuantizerParams& params, CancelToken* cancel);
  static ScalarQuantizer deserialize(Bytes bytes);
  std::vector<unsigned char> serialize() const;

  std::size_t dim() const noexcept { return mean_.size(); }
  Metric metric() const noexcept { return metric_; }
  std::size_t memory_bytes() const noexcept { return mean_.size() * sizeof(float); }
  // The codes, padded to a multiple of 64 dimensions, and four factors.
  std::size_t record_bytes() const noexcept { return padded_ + sizeof(Factors); }

  void encode(const float* row, std::uint8_t* record) const;
  void decode(const std::uint8_t* record, float* row) const;

  class Query;
  class Batch;
  Query bind(const float* query) const;

 private:
  // Of a row x: it is mean + offset + step * code, up to a vector of length `residual`. `norm` is the length of
  // offset + step * code.
  struct Factors {
    float offset;
    float step;
    float norm;
    float residual;
  };

  // Of a query v (the mean taken off under l2): v is scale * its int8 values, up to what `error_norm` accounts for.
  struct Terms {
    float scale;           // of the products of codes and values
    float offset_scale;    // scale * the sum of the values
    float base;            // |v|^2 under l2, -<mean, v> under inner product
    float error_norm;      // error of a product for each unit of a row's norm
    float error_residual;  // and of its residual, under inner product
    float error_base;
    float rounding;  // relative, of a squared distance
    bool l2;
  };

  // Of a query: the sum of its int8 values, its squared length, and that of what quantisation lost.
  struct Quantised {
    std::int64_t sum;
    double norm_squared;
    double lost;
    double with_mean;  // product, under inner product
  };

  ScalarQuantizer(std::vector<float> mean, Metric metric);
  Factors factors_of(const std::uint8_t* record) const noexcept;
  static float distance(const Terms& terms, const Factors& factors, float product) noexcept;
  static Estimate finish(const Terms& terms, const Factors& factors, float product) noexcept;

  std::vector<float> mean_;
  double mean_norm_;
  std::size_t padded_;
  Metric metric_;
};

class ScalarQuantizer::Query {
 public:
  // Bound to nothing yet; says nothing before bind().
  explicit Query(const ScalarQuantizer& codec)
      : codec_(&codec), kernels_(kernels().code.u8), centred_(codec.padded_, 0), values_(codec.padded_, 0) {}

  // Allocates nothing, so that one object serves query after query.
  void bind(const float* query) noexcept;

  Estimate estimate(const std::uint8_t* record) const noexcept;
  void estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept;
  void estimate_block(const CodeRows& records, Estimate* out) const noexcept;
  // The estimates of the records that `slots` names, in any order.
  void estimates(const CodeRows& all, std::span<const Slot> slots, Estimate* out) const noexcept;
  // Their distances alone, those of the estimates. `out` has room up to the next multiple of 16. Infinite or NaN only
  // where the estimate's error is infinite.
  void distances(const CodeRows& all, std::span<const Slot> slots, float* out) const noexcept;

 private:
  friend class Batch;

  double centre(const float* query) noexcept;
  void set_terms(const Quantised& query) noexcept;

  const ScalarQuantizer* codec_;
  CodeKernels::Forms kernels_;
  AlignedBuffer<double> centred_;      // (padded,), the values that are quantised
  AlignedBuffer<std::int8_t> values_;  // (padded,)
  Terms terms_{};
};

// Several queries against the same rows: the codes are read once, and the products are those of a tile.
class ScalarQuantizer::Batch {
 public:
  static constexpr std::size_t kRows = 64;  // of one call: their factors and products stay in the first-level cache

  explicit Batch(std::span<const Query> queries);

  // At most kRows records; out is (queries, records.n).
  void estimate(const CodeRows& records, Estimate* out) noexcept;

 private:
  const ScalarQuantizer* codec_;
  AlignedBuffer<std::int8_t> values_;  // (queries, padded)
  std::vector<Terms> terms_;
  AlignedBuffer<std::int32_t> products_;  // (queries, kRows)
};

}  // namespace vdb
