// A query bound to packed codes: rotated once, rounded to 31 levels a dimension, and turned into a table of the sums of
// every four dimensions, which serves the blocks of all nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "codec/sign_table.h"
#include "index/graph/packed_codes.h"
#include "simd/kernels.h"

namespace vdb {

class PackedQuery {
 public:
  // Binds (dim,) values of `dtype`. Allocates where the codes have more dimensions than those bound before. The codes
  // must outlive the binding.
  void bind(const PackedCodes& codes, const void* query, Dtype dtype);

  // Estimates, in search order, the distances of the neighbours in group `g` of a block from that of its node, into out
  // (32,). Returns a bit for each neighbour below the threshold; places without a neighbour are infinitely far.
  std::uint32_t estimate(const std::uint8_t* block, std::size_t g, const PackedScanKernels::Bounds& bounds,
                         float* out) const noexcept {
    return estimate_(table_.query(), layout_.codes(block, g), layout_.factors(block, g), bounds, out);
  }

 private:
  PackedScanKernels::Estimate estimate_ = nullptr;
  PackedLayout layout_{0, 0};
  std::vector<float> rotated_;
  SignTable table_;
};

}  // namespace vdb
