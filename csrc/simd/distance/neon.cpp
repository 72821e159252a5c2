// float32 distances in 128-bit NEON registers: thirty-two of them hold four rows of four sums.
// Error: about dim/16 rounding steps of float32.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/distance/driver.h"

struct Simd {
  using Register = float32x4_t;
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kRows = 4;

  static float32x4_t zero() noexcept { return vdupq_n_f32(0.0F); }
  static float32x4_t load(const float* p) noexcept { return vld1q_f32(p); }
  static float32x4_t load_first(const float* p, std::size_t n) noexcept {
    float lanes[kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return vld1q_f32(lanes);
  }
  static float reduce(const float32x4_t* sums) noexcept {
    return vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
  }
};

struct L2Squared {
  static float32x4_t step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept {
    const float32x4_t difference = vsubq_f32(a, b);
    return vfmaq_f32(sum, difference, difference);
  }
};

struct InnerProduct {
  static float32x4_t step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept { return vfmaq_f32(sum, a, b); }
};

}  // namespace

extern const DistanceKernelsF32 kDistanceF32 = table<Simd, L2Squared, InnerProduct>();

}  // namespace vdb::neon
