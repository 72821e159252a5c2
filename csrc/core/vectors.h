// A read-only matrix of float32 rows bound to a metric: what every search and build reads. It owns nothing.
#pragma once

#include <cstddef>
#include <span>

#include "core/metric.h"
#include "core/slot.h"

namespace vdb {

struct VectorView {
  const float* data = nullptr;  // (n, dim), row after row
  std::size_t n = 0;
  std::size_t dim = 0;
  Metric metric = Metric::kL2;
  const float* inverse_norms = nullptr;  // (n,) 1/|row|; needed under cosine only

  const float* row(Slot slot) const noexcept { return data + std::size_t{slot} * dim; }
};

// 1/|row|, computed in double; +inf for a zero row.
float inverse_norm(const float* row, std::size_t dim) noexcept;

// inverse_norm of each of n rows, on all threads.
void inverse_norms(const float* rows, std::size_t n, std::size_t dim, float* out);

// Index of the first row that holds a NaN or an infinity, n where there is none.
std::size_t first_nonfinite_row(const float* rows, std::size_t n, std::size_t dim);

}  // namespace vdb
