// float32 distances without intrinsics: the reference the other levels are tested against, and the fallback.
// Four partial sums, as everywhere in this family; float32 accumulation, error about dim/4 rounding steps.
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

constexpr std::size_t kSums = 4;

struct L2Squared {
  static float step(float sum, float a, float b) noexcept {
    const float difference = a - b;
    return sum + difference * difference;
  }
};

struct InnerProduct {
  static float step(float sum, float a, float b) noexcept { return sum + a * b; }
};

template <class Op>
float pair(const float* a, const float* b, std::size_t dim) noexcept {
  float sums[kSums] = {};
  std::size_t i = 0;
  for (; i + kSums <= dim; i += kSums) {
    for (std::size_t s = 0; s < kSums; ++s) sums[s] = Op::step(sums[s], a[i + s], b[i + s]);
  }
  for (; i < dim; ++i) sums[0] = Op::step(sums[0], a[i], b[i]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class Op>
void x4(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  for (std::size_t r = 0; r < 4; ++r) out[r] = pair<Op>(query, rows[r], dim);
}

template <class Op>
void block(const float* query, const float* rows, std::size_t n, std::size_t dim, float* out) noexcept {
  for (std::size_t r = 0; r < n; ++r) out[r] = pair<Op>(query, rows + r * dim, dim);
}

}  // namespace

extern const DistanceKernelsF32 kDistanceF32{
    pair<L2Squared>, x4<L2Squared>, block<L2Squared>, pair<InnerProduct>, x4<InnerProduct>, block<InnerProduct>,
};

}  // namespace vdb::scalar
