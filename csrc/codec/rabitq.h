// RaBitQ: a row as the signs of its randomly rotated residual to the nearest of a few centroids and, with more than one
// bit a dimension, a finer code of the same direction (Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025). Over the
// choice of rotation the estimates are unbiased, and `error` covers epsilon0 standard deviations of theirs.
//
// Deviation: the query is quantised once and not once for each centroid. What that leaves to correct depends on the row
// alone and is one of its factors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "codec/estimate.h"
#include "codec/training.h"
#include "core/metric.h"
#include "core/rotation.h"
#include "core/slot.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

struct RabitqParams {
  Metric metric = Metric::kL2;  // kL2 or kInnerProduct
  std::size_t bits = 1;         // of a dimension, 1 to 8
  std::size_t centroids = 16;   // 1 to 65,535; fewer where the sample has fewer rows
  std::size_t query_bits = 4;   // of the query against the signs, 1 to 8
  float epsilon0 = 1.9F;        // half-width of an estimate's interval in standard deviations, as in the paper
  std::uint64_t seed = 0;
  std::size_t threads = 0;  // of the training; 0: all
};

class Rabitq {
 public:
  static constexpr bool kBounded = false;  // Estimate::error holds with the probability that epsilon0 asks for

  // The mean of the rows and the centroids of a sample of them. No rows give a mean of zero. InvalidArgument where a
  // parameter is out of range or a value is not finite; Cancelled.
  static Rabitq train(const TrainingRows& rows, const RabitqParams& params, CancelToken* cancel);
  static Rabitq deserialize(Bytes bytes);
  std::vector<unsigned char> serialize() const;

  std::size_t dim() const noexcept { return mean_.size(); }
  Metric metric() const noexcept { return params_.metric; }
  std::size_t bits() const noexcept { return params_.bits; }
  std::size_t memory_bytes() const noexcept {
    return (mean_.size() + centroids_.size() + centroid_norms_.size()) * sizeof(float) + rotation_.memory_bytes();
  }
  // The signs and their factors come first: a scan of the first stage reads 64 bytes of a row of 384 dimensions.
  std::size_t record_bytes() const noexcept { return record_bytes_; }
  std::size_t sign_record_bytes() const noexcept { return sign_bytes() + sizeof(SignFactors); }
  // Whether what stands behind the signs is about as long as they are, so that records may be cut in two there.
  bool halves() const noexcept { return bits() == 2; }

  // `plane` as in CodeRows, here and below.
  void encode(const float* row, std::uint8_t* record, std::size_t plane = 0) const;
  void decode(const std::uint8_t* record, float* row, std::size_t plane = 0) const;

  class SignQuery;
  class Query;
  // The codec must outlive the query.
  Query bind(const float* query) const;

 private:
  // What the float32 steps of a rotation lose of a length, rarely more.
  static constexpr float kFloatRounding = 0x1p-20F;

  // A record: the signs and their factors; with more than one bit the other parts of the code and the factors of all.
  // The estimate of a row is add + rescale * product, and a term of the query and the row's centroid.
  struct Factors {
    float add;
    float rescale;
    float error;  // for each unit of the query's distance from the centroid
  };
  // What stands behind the signs.
  struct SignFactors {
    Factors factors;
    std::uint16_t ones;  // signs that are set
    std::uint16_t centroid;
  };
  static_assert(sizeof(SignFactors) == sizeof(BitCodeKernels::Factors));

  // A code is cut into codes the kernels can read, its signs first.
  using Part = CodeKernels::Part;

  // A row's residual to its centroid in rotated space.
  struct Residual {
    std::vector<float> values;
    const float* centroid;
    double norm_squared;
    double centre_term;  // of the inner product with any query: <residual, centroid> + <row - mean, mean>
  };
  // A code of a residual: its products with the residual and the centroid, and its squared length.
  struct Products {
    double residual;
    double centroid;
    double norm_squared;
  };

  Rabitq(const RabitqParams& params, std::vector<float> mean, std::vector<float> centroids);

  std::size_t padded() const noexcept { return rotation_.padded_dim(); }
  std::size_t sign_bytes() const noexcept { return padded() / 8; }
  std::size_t n_centroids() const noexcept { return centroids_.size() / padded(); }
  std::span<const Part> parts() const noexcept { return {parts_.data(), n_parts_}; }
  bool signs_only() const noexcept { return n_parts_ == 1; }
  bool l2() const noexcept { return params_.metric == Metric::kL2; }
  // Of the coordinates of a query.
  struct Range {
    float least;
    float greatest;
  };
  static Range range_of(std::span<const float> values) noexcept;
  // Standard deviation of the cosine of two random directions.
  double spread() const noexcept;

  // The centred row in rotated space, (padded,).
  void rotate(const float* row, float* out) const;
  std::size_t nearest_centroid(const float* rotated) const;
  Residual residual_of(const float* row, std::size_t centroid, std::vector<float> rotated) const;
  Products encode_signs(const Residual& residual, std::uint8_t* record) const;
  Products encode_parts(const Residual& residual, std::uint8_t* record, std::size_t gap) const;
  Factors factors_of(const Products& code, const Residual& residual) const;
  void store(const SignFactors& signs, const Factors& full, std::uint8_t* record, std::size_t gap) const;
  // What lies between the signs and the rest of a record.
  std::size_t gap_of(std::size_t plane) const noexcept { return plane == 0 ? 0 : plane - sign_record_bytes(); }
  SignFactors sign_factors(const std::uint8_t* record) const noexcept {
    SignFactors factors;
    std::memcpy(&factors, record + sign_bytes(), sizeof factors);
    return factors;
  }
  // Of a code with more than its signs.
  Factors full_factors(const std::uint8_t* record, std::size_t gap) const noexcept {
    Factors factors;
    std::memcpy(&factors, record + gap + record_bytes_ - sizeof factors, sizeof factors);
    return factors;
  }

  RabitqParams params_;
  Rotation rotation_;
  std::vector<float> mean_;
  std::vector<float> centroids_;  // (n, padded), rotated, of centred rows
  std::vector<float> centroid_norms_;
  float mean_norm_;
  std::array<Part, 4> parts_{};  // 8 bits are a sign and 4 + 2 + 1
  std::size_t n_parts_ = 1;
  std::size_t record_bytes_;
};

// The first stage: what the signs alone say. The same members as Query, so that one search loop takes either; bound by
// the Query it is part of.
class Rabitq::SignQuery {
 public:
  Estimate estimate(const std::uint8_t* record) const noexcept;
  void estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept;
  void estimate_block(const CodeRows& records, Estimate* out) const noexcept;
  void estimates(const CodeRows& all, std::span<const Slot> slots, Estimate* out) const noexcept;
  void distances(const CodeRows& all, std::span<const Slot> slots, float* out) const noexcept;
  // The same less `deviations` of their standard deviations, as that is for a row of Gaussian residual whose centroid
  // is the query's nearest: one kernel gives all of a bound. `out` has room up to the next multiple of 16.
  void lower_bounds(const CodeRows& all, std::span<const Slot> slots, float deviations, float* out) const noexcept;

 private:
  friend class Rabitq;
  friend class Query;

  // Of the query and one centroid; aligned so that a shift finds it.
  struct alignas(16) CentroidTerms {
    float add;
    float distance;
    float rounding;
  };
  // A quantised product is scale * kernel product + offset * ones + base, and `error` away for each unit of rescale.
  struct Quantisation {
    float scale;
    float offset;
    float base;
    float error;
  };

  explicit SignQuery(const Rabitq& codec);
  void bind_centroids(const float* query, std::span<const float> rotated, float norm) noexcept;
  void bind_planes(std::span<const float> rotated, const Range& range, float norm) noexcept;
  double error_of(double lost, float norm) const noexcept;
  float deviation_of(double lost) const noexcept;
  // The distances of products that are all greater by `shift`.
  void shifted_distances(const CodeRows& all, std::span<const Slot> slots, float shift, float* out) const noexcept;
  Estimate finish(const SignFactors& row, std::uint32_t product) const noexcept;
  // `error` is what the quantised query adds.
  Estimate combine(const Factors& row, std::uint16_t centroid, float product, float error) const noexcept;

  const Rabitq* codec_;
  BitCodeKernels kernels_;
  AlignedBuffer<std::uint64_t> planes_;   // (query_bits, padded / 64)
  AlignedBuffer<std::uint8_t> levels_;    // (padded,), what the planes are cut from
  std::vector<CentroidTerms> centroids_;  // a power of two: no record can name one that is not there
  std::size_t centroid_mask_;
  AlignedBuffer<float> products_;       // with the centroids; under l2 squared distances from them
  AlignedBuffer<float> centroid_adds_;  // CentroidTerms::add, side by side for the kernel
  Quantisation quantisation_{};
  float deviation_ = 0;  // of a product with the signs of a row near the query
};

class Rabitq::Query {
 public:
  // Bound to nothing yet; says nothing before bind().
  explicit Query(const Rabitq& codec)
      : signs_(codec), kernels_(kernels().code), rotated_(codec.padded(), 0), values_(codec.padded(), 0) {}

  // Allocates nothing, so that one object serves query after query.
  void bind(const float* query) noexcept;

  Estimate estimate(const std::uint8_t* record, std::size_t plane = 0) const noexcept;
  void estimate_x4(const std::uint8_t* const* records, Estimate* out, std::size_t plane = 0) const noexcept;
  void estimate_block(const CodeRows& records, Estimate* out) const noexcept;
  // The estimates of the records that `slots` names, in any order.
  void estimates(const CodeRows& all, std::span<const Slot> slots, Estimate* out) const noexcept;
  // Their distances alone, up to rounding: the same for equal records wherever they stand in the list, but not always
  // bit for bit those of the other forms. `out` has room up to the next multiple of 16. Infinite or NaN for rows and
  // queries whose values overflow float32, where an estimate is the greatest float.
  void distances(const CodeRows& all, std::span<const Slot> slots, float* out) const noexcept;

  const SignQuery& signs() const noexcept { return signs_; }

 private:
  using Products = std::array<std::int32_t, 4>;

  void bind_values(const Range& range, float norm) noexcept;
  const CodeKernels::Forms& forms(unsigned bits) const noexcept;
  // All parts of a code, counted from the beginning of its record.
  std::array<Part, 4> parts_behind(std::size_t gap) const noexcept;
  Products products_of(const std::uint8_t* const* records, std::span<const Part> parts) const noexcept;
  Estimate finish(const std::uint8_t* record, std::size_t gap, std::int32_t product) const noexcept;

  SignQuery signs_;
  CodeKernels kernels_;
  AlignedBuffer<float> rotated_;       // (padded,), of the query
  AlignedBuffer<std::int8_t> values_;  // (padded,)
  SignQuery::Quantisation quantisation_{};
};

}  // namespace vdb
