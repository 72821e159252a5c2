// Product quantisation in 128-bit NEON registers: two hold a byte of each row of a block.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/pq_scan/driver.h"

struct Simd {
  using Register = float32x4_t;
  static constexpr std::size_t kLanes = 4;
  static constexpr std::size_t kColumnRegisters = 8;

  static float32x4_t zero() noexcept { return vdupq_n_f32(0.0F); }
  static float32x4_t load(const float* p) noexcept { return vld1q_f32(p); }
  static void store(float* p, float32x4_t r) noexcept { vst1q_f32(p, r); }
  static float32x4_t broadcast(float x) noexcept { return vdupq_n_f32(x); }
  static float32x4_t l2_step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept {
    const float32x4_t difference = vsubq_f32(a, b);
    return vfmaq_f32(sum, difference, difference);
  }
  static float32x4_t product_step(float32x4_t sum, float32x4_t a, float32x4_t b) noexcept {
    return vfmaq_f32(sum, a, b);
  }

  struct Best {
    float32x4_t distance;
    uint32x4_t at;
  };
  static Best none() noexcept { return {vdupq_n_f32(__builtin_inff()), vdupq_n_u32(0)}; }
  static void offer(Best& best, float32x4_t distances, std::uint32_t first) noexcept {
    constexpr std::uint32_t kLane[kLanes] = {0, 1, 2, 3};
    const uint32x4_t nearer = vcltq_f32(distances, best.distance);
    best.distance = vbslq_f32(nearer, distances, best.distance);
    best.at = vbslq_u32(nearer, vaddq_u32(vdupq_n_u32(first), vld1q_u32(kLane)), best.at);
  }
  static std::uint32_t least(const Best& best, float* distance) noexcept {
    float distances[kLanes];
    std::uint32_t at[kLanes];
    vst1q_f32(distances, best.distance);
    vst1q_u32(at, best.at);
    return least_lane(distances, at, kLanes, distance);
  }
};

struct Scan {
  struct Sums {
    uint16x8_t rows[4];
  };
  struct Tables {
    uint8x16_t low;
    uint8x16_t high;
  };
  static constexpr std::size_t kBlocks = 2;

  static Sums zero() noexcept { return {{vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)}}; }
  static Tables tables(const std::uint8_t* p) noexcept { return {vld1q_u8(p), vld1q_u8(p + kTable4)}; }
  static void add(Sums& sums, const Tables& tables, const std::uint8_t* codes) noexcept {
    for (std::size_t half = 0; half < 2; ++half) {
      const uint8x16_t bytes = vld1q_u8(codes + 16 * half);
      const uint8x16_t a = vqtbl1q_u8(tables.low, vandq_u8(bytes, vdupq_n_u8(15)));
      const uint8x16_t b = vqtbl1q_u8(tables.high, vshrq_n_u8(bytes, 4));
      uint16x8_t* const rows = sums.rows + 2 * half;
      rows[0] = vaddq_u16(rows[0], vaddl_u8(vget_low_u8(a), vget_low_u8(b)));
      rows[1] = vaddq_u16(rows[1], vaddl_high_u8(a, b));
    }
  }
  static void store(const Sums& sums, std::uint16_t* out) noexcept {
    for (std::size_t i = 0; i < 4; ++i) vst1q_u16(out + 8 * i, sums.rows[i]);
  }
};

}  // namespace

extern const PqKernels kPq = table<Simd, Scan>();

}  // namespace vdb::neon
