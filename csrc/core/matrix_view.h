// Rows of float32 that somebody else owns.
#pragma once

#include <cstddef>

namespace vdb {

// (n, dim) float32, row-major and without gaps.
struct MatrixView {
  const float* data;
  std::size_t n;
  std::size_t dim;

  const float* row(std::size_t i) const noexcept { return data + i * dim; }
};

}  // namespace vdb
