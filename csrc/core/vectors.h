// A read-only matrix of stored rows bound to a metric: what every search and build reads. It owns nothing.
#pragma once

#include <cstddef>

#include "base/dtype.h"
#include "core/custom_metric.h"
#include "core/metric.h"
#include "core/slot.h"

namespace vdb {

struct VectorView {
  const std::byte* data = nullptr;  // (n, dim) values of `dtype`, row after row
  std::size_t n = 0;
  std::size_t dim = 0;
  Metric metric = Metric::kL2;
  const float* inverse_norms = nullptr;  // (n,) 1/|row| of the stored values; needed under cosine only
  Dtype dtype = Dtype::kFloat32;
  CustomMetric custom = {};  // needed under custom only
  // The same rows where those that follow each other are cheap to read; null: `data` itself. Of a file larger than
  // memory `data` is mapped so that the system reads a row and no more, and this so that it reads ahead.
  const std::byte* in_order = nullptr;

  std::size_t row_bytes() const noexcept { return dim * bytes_per_value(dtype); }
  const void* row(Slot slot) const noexcept { return data + std::size_t{slot} * row_bytes(); }
};

// `view` with rows where a pass finds them that reads `count` of `span` rows, in their order.
VectorView for_pass(const VectorView& view, std::size_t count, std::size_t span) noexcept;

// Writes `dim` values of `dtype` as float32, which holds those of every dtype exactly.
void to_float32(const void* row, std::size_t dim, Dtype dtype, float* out) noexcept;

// The same for a row of a view.
void read_row(const VectorView& view, Slot slot, float* out) noexcept;

// 1/|row|, computed in double; +inf for a zero row.
float inverse_norm(const void* row, std::size_t dim, Dtype dtype) noexcept;

// inverse_norm of each row of `rows`, whatever its metric, on all threads.
void inverse_norms(const VectorView& rows, float* out);

// Index of the first row that holds a NaN or an infinity, n where there is none.
std::size_t first_nonfinite_row(const VectorView& rows) noexcept;

}  // namespace vdb
