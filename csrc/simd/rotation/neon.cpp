// The steps of a random rotation in 128-bit NEON registers.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/rotation/driver.h"

struct Simd {
  using Register = float32x4_t;
  static constexpr std::size_t kLanes = 4;

  static float32x4_t load(const float* p) noexcept { return vld1q_f32(p); }
  static void store(float* p, float32x4_t x) noexcept { vst1q_f32(p, x); }
  static float32x4_t add(float32x4_t a, float32x4_t b) noexcept { return vaddq_f32(a, b); }
  static float32x4_t sub(float32x4_t a, float32x4_t b) noexcept { return vsubq_f32(a, b); }
  static float32x4_t multiply(float32x4_t x, float factor) noexcept { return vmulq_n_f32(x, factor); }

  // A shift per lane brings its bit to the place of the sign.
  static float32x4_t flip(float32x4_t x, std::uint32_t bits) noexcept {
    const int32x4_t places = {31, 30, 29, 28};
    const uint32x4_t signs = vandq_u32(vshlq_u32(vdupq_n_u32(bits), places), vdupq_n_u32(0x80000000U));
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), signs));
  }

  // Each stage adds the partner to the value, which the later lane of the pair takes negated. A product with 1 or -1 is
  // exact, so a fused step rounds as a sum or a difference does.
  static float32x4_t stages(float32x4_t x) noexcept {
    const float32x4_t by1 = {1, -1, 1, -1};
    const float32x4_t by2 = {1, 1, -1, -1};
    x = vfmaq_f32(vrev64q_f32(x), x, by1);
    return vfmaq_f32(vextq_f32(x, x, 2), x, by2);
  }
};

}  // namespace

extern const RotationKernels kRotation = table<Simd>();

}  // namespace vdb::neon
