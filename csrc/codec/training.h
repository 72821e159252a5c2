// What a codec learns from.
#pragma once

#include <cstddef>

namespace vdb {

// (n, dim) float32, a sample of the rows; under cosine, normalised.
struct TrainingRows {
  const float* data;
  std::size_t n;
  std::size_t dim;
};

}  // namespace vdb
