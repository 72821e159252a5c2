// A matrix cut into panels of kPanel columns, for products with many vectors: each is a sum of short float32 products
// added up in double, so the error is that of a short product whatever the dimension, and a panel of a few hundred rows
// stays in the second-level cache while the vectors pass.
#pragma once

#include <cstddef>

#include "base/aligned_buffer.h"

namespace vdb {

class Panels {
 public:
  static constexpr std::size_t kPanel = 512;  // columns

  Panels() = default;
  // `values` is (rows, columns), row-major; it is copied.
  static Panels of(const float* values, std::size_t rows, std::size_t columns);
  // The transpose of such a matrix.
  static Panels of_transpose(const float* values, std::size_t rows, std::size_t columns);

  std::size_t rows() const noexcept { return rows_; }
  std::size_t columns() const noexcept { return columns_; }
  std::size_t memory_bytes() const noexcept { return values_.bytes(); }
  // The `columns` values of a row.
  void copy_row(std::size_t row, float* out) const noexcept;

  // The product of every row with n vectors, vector i at vectors + i * stride, into out (n, rows). Thread-safe.
  void multiply(const float* vectors, std::size_t n, std::size_t stride, double* out) const;
  // |error| of a product of row r with v, in units of the sum of |r_j| * |v_j|.
  double error() const noexcept;

 private:
  Panels(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), values_(rows * columns, 0.0F) {}
  std::size_t position(std::size_t row, std::size_t column) const noexcept;

  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  AlignedBuffer<float> values_;  // panel after panel, each (rows, its columns)
};

}  // namespace vdb
