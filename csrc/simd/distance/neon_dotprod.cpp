// int8 distances by the dot product instructions. Exact until the result is rounded to float32.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon_dotprod {
namespace {

#include "simd/distance/driver.h"

// Integers of 65,535 dimensions: a squared distance is below 2^32, an inner product within 2^31, so each has a sum of
// its own signedness.
struct Int8 {
  using Value = std::int8_t;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kSums = 2;
  static constexpr std::size_t kRows = 4;
  static constexpr bool kWidens = false;
  static constexpr std::size_t kTileQueries = 2;
  static constexpr std::size_t kTileRows = 4;

  static int8x16_t load(const std::int8_t* p) noexcept { return vld1q_s8(p); }
  static int8x16_t load_first(const std::int8_t* p, std::size_t n) noexcept {
    std::int8_t values[kLanes] = {};
    __builtin_memcpy(values, p, n);
    return load(values);
  }
};

struct Int8Signed : Int8 {
  using Register = int32x4_t;
  static int32x4_t zero() noexcept { return vdupq_n_s32(0); }
  static float reduce(const int32x4_t* sums) noexcept {
    return static_cast<float>(vaddvq_s32(vaddq_s32(sums[0], sums[1])));
  }
  static void reduce4(const int32x4_t (*sums)[kSums], float* out) noexcept {
    const int32x4_t ab = vpaddq_s32(vaddq_s32(sums[0][0], sums[0][1]), vaddq_s32(sums[1][0], sums[1][1]));
    const int32x4_t cd = vpaddq_s32(vaddq_s32(sums[2][0], sums[2][1]), vaddq_s32(sums[3][0], sums[3][1]));
    vst1q_f32(out, vcvtq_f32_s32(vpaddq_s32(ab, cd)));
  }
};

struct Int8Unsigned : Int8 {
  using Register = uint32x4_t;
  static uint32x4_t zero() noexcept { return vdupq_n_u32(0); }
  static float reduce(const uint32x4_t* sums) noexcept {
    return static_cast<float>(vaddvq_u32(vaddq_u32(sums[0], sums[1])));
  }
  static void reduce4(const uint32x4_t (*sums)[kSums], float* out) noexcept {
    const uint32x4_t ab = vpaddq_u32(vaddq_u32(sums[0][0], sums[0][1]), vaddq_u32(sums[1][0], sums[1][1]));
    const uint32x4_t cd = vpaddq_u32(vaddq_u32(sums[2][0], sums[2][1]), vaddq_u32(sums[3][0], sums[3][1]));
    vst1q_f32(out, vcvtq_f32_u32(vpaddq_u32(ab, cd)));
  }
};

struct Int8L2Squared {
  static uint32x4_t start(const void*, std::size_t) noexcept { return vdupq_n_u32(0); }
  static uint32x4_t step(uint32x4_t sum, int8x16_t a, int8x16_t b) noexcept {
    // |a - b| is below 256: right as an unsigned byte, though not as a signed one.
    const uint8x16_t difference = vreinterpretq_u8_s8(vabdq_s8(a, b));
    return vdotq_u32(sum, difference, difference);
  }
};

struct Int8InnerProduct {
  static int32x4_t start(const void*, std::size_t) noexcept { return vdupq_n_s32(0); }
  static int32x4_t step(int32x4_t sum, int8x16_t a, int8x16_t b) noexcept { return vdotq_s32(sum, a, b); }
};

}  // namespace

extern const DistanceKernels kDistanceI8{forms<Int8Unsigned, Int8L2Squared>(), forms<Int8Signed, Int8InnerProduct>()};

}  // namespace vdb::neon_dotprod
