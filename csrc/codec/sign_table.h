// A vector as a table of the sums of every four of its values under all their signs: a scan of blocks of 1-bit codes
// adds up looked-up bytes (PackedScanKernels). The values are rounded to 31 levels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "simd/kernels.h"

namespace vdb {

class SignTable {
 public:
  // Of n values, a multiple of 64. Allocates where the last binding had another number of them.
  void bind(const float* values, std::size_t n);

  const PackedScanKernels::Query& query() const noexcept { return query_; }
  // What rounding does to a product with signs: the standard deviation, as the signs are random.
  float deviation() const noexcept;

 private:
  void fill() noexcept;

  PackedScanKernels::Query query_{};
  std::vector<std::int8_t> levels_;
  AlignedBuffer<std::uint8_t> table_;  // (n / 4, 16)
};

}  // namespace vdb
