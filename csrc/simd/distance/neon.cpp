// Distances in 128-bit NEON registers: thirty-two of them hold the sums of a tile of two queries and four rows.
// The float dtypes accumulate float32, error about dim/8 rounding steps; int8 is exact until the result is rounded.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/distance/driver.h"

struct Shape {
  static constexpr std::size_t kSums = 2;
  static constexpr std::size_t kRows = 4;
  static constexpr bool kWidens = false;
  static constexpr std::size_t kTileQueries = 2;
  static constexpr std::size_t kTileRows = 4;
};

struct Floats : Shape {
  using Register = float32x4_t;
  static constexpr std::size_t kLanes = 4;

  static float32x4_t zero() noexcept { return vdupq_n_f32(0.0F); }

  // (0 + 1) + (2 + 3); reduce4 the same for four at once.
  static float reduce(const float32x4_t* sums) noexcept {
    const float32x4_t sum = vaddq_f32(sums[0], sums[1]);
    const float32x4_t two = vpaddq_f32(sum, sum);
    return vgetq_lane_f32(vpaddq_f32(two, two), 0);
  }
  static void reduce4(const float32x4_t (*sums)[kSums], float* out) noexcept {
    const float32x4_t ab = vpaddq_f32(vaddq_f32(sums[0][0], sums[0][1]), vaddq_f32(sums[1][0], sums[1][1]));
    const float32x4_t cd = vpaddq_f32(vaddq_f32(sums[2][0], sums[2][1]), vaddq_f32(sums[3][0], sums[3][1]));
    vst1q_f32(out, vpaddq_f32(ab, cd));
  }
};

// The first n values and zeros.
template <std::size_t kLanes, class Value>
struct Padded {
  Padded(const Value* p, std::size_t n) noexcept { __builtin_memcpy(values, p, n * sizeof(Value)); }
  Value values[kLanes] = {};
};

struct Float32 : Floats {
  using Value = float;
  static void store(float* p, float32x4_t values) noexcept { vst1q_f32(p, values); }
  static float32x4_t load(const float* p) noexcept { return vld1q_f32(p); }
  static float32x4_t load_first(const float* p, std::size_t n) noexcept {
    return load(Padded<kLanes, float>(p, n).values);
  }
};

struct Float16 : Float32 {
  using Value = std::uint16_t;
  using Float32::load;
  using Float32::load_first;
  static constexpr bool kWidens = true;
  static float32x4_t load(const std::uint16_t* p) noexcept { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
  static float32x4_t load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return load(Padded<kLanes, std::uint16_t>(p, n).values);
  }
};

struct Bfloat16 : Float32 {
  using Value = std::uint16_t;
  using Float32::load;
  using Float32::load_first;
  static constexpr bool kWidens = true;
  static float32x4_t load(const std::uint16_t* p) noexcept {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
  }
  static float32x4_t load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return load(Padded<kLanes, std::uint16_t>(p, n).values);
  }
};

struct FloatOp {
  static float32x4_t start(const void*, std::size_t) noexcept { return vdupq_n_f32(0.0F); }
};

struct L2Squared : FloatOp {
  static float32x4_t step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept {
    const float32x4_t difference = vsubq_f32(a, b);
    return vfmaq_f32(sum, difference, difference);
  }
};

struct InnerProduct : FloatOp {
  static float32x4_t step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept { return vfmaq_f32(sum, a, b); }
};

// Integers of 65,535 dimensions: a squared distance is below 2^32, an inner product within 2^31, so each has a sum of
// its own signedness.
struct Int8 : Shape {
  using Value = std::int8_t;
  static constexpr std::size_t kLanes = 16;

  static int8x16_t load(const std::int8_t* p) noexcept { return vld1q_s8(p); }
  static int8x16_t load_first(const std::int8_t* p, std::size_t n) noexcept {
    return load(Padded<kLanes, std::int8_t>(p, n).values);
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
    const uint8x8_t low = vget_low_u8(difference);
    return vpadalq_u16(vpadalq_u16(sum, vmull_u8(low, low)), vmull_high_u8(difference, difference));
  }
};

struct Int8InnerProduct {
  static int32x4_t start(const void*, std::size_t) noexcept { return vdupq_n_s32(0); }
  static int32x4_t step(int32x4_t sum, int8x16_t a, int8x16_t b) noexcept {
    return vpadalq_s16(vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b))), vmull_high_s8(a, b));
  }
};

}  // namespace

extern const DistanceKernels kDistanceF32{forms<Float32, L2Squared>(), forms<Float32, InnerProduct>()};
extern const DistanceKernels kDistanceF16{forms<Float16, L2Squared>(), forms<Float16, InnerProduct>()};
extern const DistanceKernels kDistanceBf16{forms<Bfloat16, L2Squared>(), forms<Bfloat16, InnerProduct>()};
extern const DistanceKernels kDistanceI8{forms<Int8Unsigned, Int8L2Squared>(), forms<Int8Signed, Int8InnerProduct>()};

}  // namespace vdb::neon
