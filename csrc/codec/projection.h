// Rank reduction: a row is stored as its coordinates y = P x in an orthonormal basis P, directions of greatest energy
// first, and the length of what the basis misses. Where the basis spans the data, nothing is missing and a distance
// costs `width` values instead of `dim`. Where it does not, the order still lets a distance be abandoned early: after
// each level of coordinates the Cauchy-Schwarz bound of the rest (as in Panorama, 2025) may already say "too far".
// Intervals are guarantees: x = P^T y + r and q = P^T z + s, so <x, q> is <y, z> + <r, s> and what rounding lets r and
// s keep inside the basis, which the records bound.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "codec/estimate.h"
#include "codec/panels.h"
#include "core/metric.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

struct ProjectionParams {
  Metric metric = Metric::kL2;  // kL2 or kInnerProduct
  bool lossless = false;        // the basis spans the data: no levels to abandon at
};

class Projection {
 public:
  static constexpr bool kBounded = true;  // Estimate::error is a guarantee

  // `basis` is (width, dim) with orthonormal rows, width <= dim, and is copied; InvalidArgument where they are not
  // orthonormal. Takes width^2 * dim operations.
  static Projection from_basis(const float* basis, std::size_t width, std::size_t dim, const ProjectionParams& params);
  static Projection deserialize(Bytes bytes);
  std::vector<unsigned char> serialize() const;

  std::size_t dim() const noexcept { return basis_.columns(); }
  std::size_t width() const noexcept { return basis_.rows(); }
  Metric metric() const noexcept { return params_.metric; }
  std::size_t memory_bytes() const noexcept { return basis_.memory_bytes() + transposed_.memory_bytes(); }
  bool lossless() const noexcept { return params_.lossless; }
  std::size_t levels() const noexcept { return levels_; }
  // The coordinates, padded with zeros to a multiple of 16; the lengths of the rest behind each level; three factors.
  std::size_t record_bytes() const noexcept { return (padded_ + levels_ - 1) * sizeof(float) + sizeof(Factors); }

  void encode(const float* row, std::uint8_t* record) const { encode_block(row, 1, record); }
  // n rows (n, dim) into n records: a matrix product.
  void encode_block(const float* rows, std::size_t n, std::uint8_t* records) const;
  void decode(const std::uint8_t* record, float* row) const;

  class Query;
  class Batch;
  Query bind(const float* query) const;
  // n queries (n, dim), by a matrix product: a single one is bound at the speed of reading the basis twice.
  std::vector<Query> bind_block(const float* queries, std::size_t n) const;

 private:
  // Of a vector x with coordinates y. A vector that overflowed has zeros and an infinite slack.
  struct Factors {
    float norm;   // |y|, not less
    float tail;   // |x - P^T y|, up to the slack
    float slack;  // what rounding may have done to the tail, and what of x - P^T y may lie inside the basis
  };

  Projection(Panels basis, Panels transposed, double defect, const ProjectionParams& params);
  static Projection of(const float* basis, std::size_t width, std::size_t dim, double defect,
                       const ProjectionParams& params);
  const DistanceKernels::Forms& forms() const;
  void project(const float* rows, std::size_t n, float* coordinates, Factors* factors) const;
  Factors factors_of(const float* row, const double* restored, float* coordinates) const;
  void suffixes(const float* coordinates, float* out) const;

  Panels basis_;
  Panels transposed_;  // empty where the basis is square: its residuals are rounding only
  double defect_;      // bound of |P P^T - I|
  ProjectionParams params_;
  std::size_t padded_;
  std::size_t level_width_;
  std::size_t levels_;
};

class Projection::Query {
 public:
  Estimate estimate(const std::uint8_t* record) const noexcept;
  void estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept;
  void estimate_block(const CodeRows& records, Estimate* out) const noexcept;

  // Whether the distance may be at most `threshold`. Reads the record level by level and stops where the interval is
  // beyond it; `out` is the interval known then, `dims_read` grows by the coordinates read.
  bool within(const std::uint8_t* record, float threshold, Estimate& out, std::size_t& dims_read) const noexcept;

 private:
  friend class Projection;
  friend class Batch;

  // What the levels read so far say of two vectors of coordinates: `core` is the squared distance or the product of the
  // coordinates read, the others are the lengths of those not read.
  struct Partial {
    float core;
    float row_rest;
    float query_rest;
  };

  explicit Query(const Projection& codec);
  Estimate finish(const std::uint8_t* record, const Partial& partial) const noexcept;
  Estimate finish_l2(const Factors& row, const Partial& partial) const noexcept;
  Estimate finish_inner_product(const Factors& row, const Partial& partial) const noexcept;

  const Projection* codec_;
  DistanceKernels::Pair pair_;
  DistanceKernels::PairX4 x4_;
  AlignedBuffer<float> coordinates_;  // (padded,)
  AlignedBuffer<float> suffixes_;     // (levels - 1,)
  Factors factors_{};
  float relative_;  // error of `core` and of the distance rows are ranked by, in units of their terms
};

// Several queries against the same rows: the coordinates are read once, and the distances are those of a tile.
class Projection::Batch {
 public:
  static constexpr std::size_t kRows = 64;  // of one call

  // At least one query, all of one projection; they outlive the batch.
  explicit Batch(std::span<const Query> queries);

  // At most kRows records; out is (queries, records.n).
  void estimate(const CodeRows& records, Estimate* out) noexcept;

 private:
  std::span<const Query> queries_;
  std::size_t width_;
  DistanceKernels::Tile tile_;
  AlignedBuffer<float> coordinates_;  // (queries, width)
  AlignedBuffer<float> rows_;         // (kRows, width)
  AlignedBuffer<float> cores_;        // (queries, kRows)
};

}  // namespace vdb
