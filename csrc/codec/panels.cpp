#include "codec/panels.h"

#include <algorithm>
#include <vector>

#include "codec/rounding.h"
#include "simd/kernels.h"

namespace vdb {

std::size_t Panels::position(std::size_t row, std::size_t column) const noexcept {
  const std::size_t begin = column / kPanel * kPanel;
  const std::size_t width = std::min(kPanel, columns_ - begin);
  return begin * rows_ + row * width + (column - begin);
}

Panels Panels::of(const float* values, std::size_t rows, std::size_t columns) {
  Panels panels(rows, columns);
  for (std::size_t begin = 0; begin < columns; begin += kPanel) {
    const std::size_t width = std::min(kPanel, columns - begin);
    for (std::size_t r = 0; r < rows; ++r) {
      std::copy_n(values + r * columns + begin, width, panels.values_.data() + panels.position(r, begin));
    }
  }
  return panels;
}

Panels Panels::of_transpose(const float* values, std::size_t rows, std::size_t columns) {
  Panels panels(columns, rows);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) panels.values_[panels.position(c, r)] = values[r * columns + c];
  }
  return panels;
}

void Panels::copy_row(std::size_t row, float* out) const noexcept {
  for (std::size_t begin = 0; begin < columns_; begin += kPanel) {
    std::copy_n(values_.data() + position(row, begin), std::min(kPanel, columns_ - begin), out + begin);
  }
}

void Panels::multiply(const float* vectors, std::size_t n, std::size_t stride, double* out) const {
  const auto& forms = kernels().distance_f32.inner_product;
  std::vector<float> packed(n * std::min(kPanel, columns_));
  std::vector<float> products(n * rows_);
  std::fill_n(out, n * rows_, 0.0);
  for (std::size_t begin = 0; begin < columns_; begin += kPanel) {
    const std::size_t width = std::min(kPanel, columns_ - begin);
    for (std::size_t i = 0; i < n; ++i) std::copy_n(vectors + i * stride + begin, width, packed.data() + i * width);
    forms.tile({packed.data(), n}, {values_.data() + position(0, begin), rows_}, width, products.data());
    for (std::size_t i = 0; i < products.size(); ++i) out[i] += double{products[i]};
  }
}

double Panels::error() const noexcept { return kernel_error(std::min(kPanel, columns_)); }

}  // namespace vdb
