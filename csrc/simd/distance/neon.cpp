// float32 distances in 128-bit NEON registers: thirty-two of them hold four rows of four accumulators. The tail is
// added to the first accumulator's first lane. Error: about dim/16 rounding steps of float32.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

constexpr std::size_t kLanes = 4;
constexpr std::size_t kSums = 4;

struct L2Squared {
  static float32x4_t step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept {
    const float32x4_t difference = vsubq_f32(a, b);
    return vfmaq_f32(sum, difference, difference);
  }
};

struct InnerProduct {
  static float32x4_t step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept { return vfmaq_f32(sum, a, b); }
};

float reduce(const float32x4_t* sums) noexcept {
  return vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
}

// The one loop of this file: kRows rows against one query.
template <class Op, std::size_t kRows>
void accumulate(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  float32x4_t sums[kRows][kSums];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t s = 0; s < kSums; ++s) sums[r][s] = vdupq_n_f32(0.0F);
  }
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dim; i += kSums * kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      const float32x4_t q = vld1q_f32(query + i + s * kLanes);
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][s] = Op::step(sums[r][s], q, vld1q_f32(rows[r] + i + s * kLanes));
      }
    }
  }
  for (; i + kLanes <= dim; i += kLanes) {
    const float32x4_t q = vld1q_f32(query + i);
    for (std::size_t r = 0; r < kRows; ++r) sums[r][0] = Op::step(sums[r][0], q, vld1q_f32(rows[r] + i));
  }
  for (; i < dim; ++i) {
    const float32x4_t q = vsetq_lane_f32(query[i], vdupq_n_f32(0.0F), 0);
    for (std::size_t r = 0; r < kRows; ++r) {
      sums[r][0] = Op::step(sums[r][0], q, vsetq_lane_f32(rows[r][i], vdupq_n_f32(0.0F), 0));
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) out[r] = reduce(sums[r]);
}

template <class Op>
float pair(const float* a, const float* b, std::size_t dim) noexcept {
  float out;
  accumulate<Op, 1>(a, &b, dim, &out);
  return out;
}

template <class Op>
void x4(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  accumulate<Op, 4>(query, rows, dim, out);
}

template <class Op>
void block(const float* query, const float* rows, std::size_t n, std::size_t dim, float* out) noexcept {
  std::size_t r = 0;
  for (; r + 4 <= n; r += 4) {
    const float* const four[4] = {rows + r * dim, rows + (r + 1) * dim, rows + (r + 2) * dim, rows + (r + 3) * dim};
    accumulate<Op, 4>(query, four, dim, out + r);
  }
  for (; r < n; ++r) out[r] = pair<Op>(query, rows + r * dim, dim);
}

}  // namespace

extern const DistanceKernelsF32 kDistanceF32{
    pair<L2Squared>, x4<L2Squared>, block<L2Squared>, pair<InnerProduct>, x4<InnerProduct>, block<InnerProduct>,
};

}  // namespace vdb::neon
