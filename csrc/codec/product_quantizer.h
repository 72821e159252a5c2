// Product quantisation, optionally after a learned rotation (codec/opq.h). A record is the codes and one float32, the
// distance r between the row and what its codes decode to. With it every estimate is an interval that holds the true
// distance: |<x, q> - <x^, q>| <= r |q| (Cauchy-Schwarz), and |x - q| is within r of |x^ - q| (triangle inequality).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cancel.h"
#include "codec/estimate.h"
#include "codec/product_bound.h"
#include "codec/product_codebook.h"
#include "codec/training.h"
#include "core/metric.h"
#include "io/container.h"
#include "simd/kernels.h"

namespace vdb {

struct ProductQuantizerParams {
  Metric metric = Metric::kL2;  // kL2 or kInnerProduct
  std::size_t m;                // sub-quantisers, from 1 to dim
  std::size_t nbits = 8;        // 8 or 4
  bool opq = false;             // at most kMaxOpqDim dimensions
  std::uint64_t seed = 0;
  std::size_t threads = 0;  // 0: all; any number trains the same codec
  std::size_t iterations = 25;
};

class ProductQuantizer {
 public:
  static constexpr bool kBounded = true;
  class Query;

  // A sample smaller than a codebook makes a smaller codebook: each row a centroid. InvalidArgument for parameters out
  // of range, an empty sample, values that are not finite, and opq beyond kMaxOpqDim.
  static ProductQuantizer train(const TrainingRows& rows, const ProductQuantizerParams& params, CancelToken* cancel);
  static ProductQuantizer deserialize(Bytes bytes);
  std::vector<unsigned char> serialize() const;

  Metric metric() const noexcept { return metric_; }
  const ProductShape& shape() const noexcept { return codebook_.shape(); }
  std::size_t dim() const noexcept { return shape().dim; }
  const ProductCodebook& codebook() const noexcept { return codebook_; }
  std::size_t memory_bytes() const noexcept { return (codebook_.values().size() + rotation_.size()) * sizeof(float); }
  std::size_t record_bytes() const noexcept { return shape().code_bytes() + sizeof(float); }

  // Where the codebook's dimensions are: the learned rotation, or the row itself. `out` (dim,) is not `row`.
  void rotate(const float* row, float* out) const noexcept;
  void encode(const float* row, std::uint8_t* record) const;
  void decode(const std::uint8_t* record, float* row) const;
  Query bind(const float* query) const;

  // The parts of a bound query: partial distances (m, 2^nbits), and what their sums mean.
  struct Bound {
    std::vector<float> partial;
    ProductBound bound;
  };
  Bound partial_distances(const float* query) const;
  // The r of a record.
  float radius(const std::uint8_t* record) const noexcept;

 private:
  ProductQuantizer(Metric metric, ProductCodebook codebook, std::vector<float> rotation, std::size_t threads);
  std::vector<float> rotated(const float* row) const;

  Metric metric_;
  ProductCodebook codebook_;
  std::vector<float> rotation_;  // (dim, dim), or empty
  double rotation_error_ = 0;
};

class ProductQuantizer::Query {
 public:
  Estimate estimate(const std::uint8_t* record) const noexcept;
  void estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept;
  void estimate_block(const CodeRows& records, Estimate* out) const noexcept;

 private:
  friend class ProductQuantizer;
  Query(const ProductShape& shape, Bound bound);
  Estimate finish(float sum, const std::uint8_t* record) const noexcept;

  std::size_t code_bytes_;
  std::vector<float> table_;  // (code_bytes, 256); a byte of 4-bit codes is looked up as the pair it is
  ProductBound bound_;
  PqKernels::Lookup8 lookup_;
  PqKernels::Lookup8X4 lookup_x4_;
  PqKernels::Lookup8Block lookup_block_;
};

}  // namespace vdb
