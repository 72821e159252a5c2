#include "core/vectors.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/thread_pool.h"

namespace vdb {
namespace {

constexpr std::size_t kRowsPerChunk = 4096;

}  // namespace

float inverse_norm(const float* row, std::size_t dim) noexcept {
  double sums[4] = {};
  std::size_t d = 0;
  for (; d + 4 <= dim; d += 4) {
    for (std::size_t s = 0; s < 4; ++s) sums[s] += double{row[d + s]} * double{row[d + s]};
  }
  for (; d < dim; ++d) sums[0] += double{row[d]} * double{row[d]};
  const double squared = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return squared > 0 ? static_cast<float>(1.0 / std::sqrt(squared)) : std::numeric_limits<float>::infinity();
}

void inverse_norms(const float* rows, std::size_t n, std::size_t dim, float* out) {
  parallel_for({n, kRowsPerChunk, 0}, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) out[i] = inverse_norm(rows + i * dim, dim);
  });
}

std::size_t first_nonfinite_row(const float* rows, std::size_t n, std::size_t dim) {
  constexpr std::uint32_t kExponent = 0x7f800000U;  // all ones only in NaN and infinity
  for (std::size_t i = 0; i < n; ++i) {
    const float* row = rows + i * dim;
    std::uint32_t found = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      std::uint32_t bits;
      std::memcpy(&bits, row + d, sizeof bits);
      found |= static_cast<std::uint32_t>((bits & kExponent) == kExponent);
    }
    if (found != 0) return i;
  }
  return n;
}

}  // namespace vdb
