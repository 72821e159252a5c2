// Packed neighbours in 128-bit NEON registers: two hold a byte of each of the 32 rows.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/packed_scan/driver.h"

struct Simd {
  static constexpr std::size_t kHalf = 16;  // rows of a register
  struct Sums {
    uint16x8_t rows[4];
  };

  static Sums zero() noexcept { return {{vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0), vdupq_n_u16(0)}}; }
  // A sub-quantiser in each half of a byte.
  static uint8x16_t look_up(const std::uint8_t* table, const std::uint8_t* codes) noexcept {
    const uint8x16_t bytes = vld1q_u8(codes);
    const uint8x16_t low = vqtbl1q_u8(vld1q_u8(table), vandq_u8(bytes, vdupq_n_u8(15)));
    return vaddq_u8(low, vqtbl1q_u8(vld1q_u8(table + kEntries), vshrq_n_u8(bytes, 4)));
  }
  static void add(Sums& sums, const std::uint8_t* table, const std::uint8_t* codes) noexcept {
    for (std::size_t half = 0; half < 2; ++half, codes += kHalf) {
      const uint8x16_t four = vaddq_u8(look_up(table, codes), look_up(table + 2 * kEntries, codes + kRows));
      uint16x8_t* const rows = sums.rows + 2 * half;
      rows[0] = vaddw_u8(rows[0], vget_low_u8(four));
      rows[1] = vaddw_high_u8(rows[1], four);
    }
  }

  static float32x4_t load(const float* factors) noexcept { return vld1q_f32(factors); }
  static float32x4_t load(const std::uint16_t* factors) noexcept {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(factors), 16));
  }
  template <class Factor>
  static std::uint32_t finish_lanes(uint32x4_t sums, const PackedScanKernels::Query& query, const Factor* factors,
                                    const PackedScanKernels::Bounds& bounds, float* out) noexcept {
    constexpr std::uint32_t kBits[4] = {1, 2, 4, 8};
    const float32x4_t scaled = vmulq_f32(vdupq_n_f32(query.scale), vcvtq_f32_u32(sums));
    const float32x4_t product = vaddq_f32(scaled, vdupq_n_f32(query.base));
    const float32x4_t change = vaddq_f32(load(factors), vmulq_f32(load(factors + kRows), product));
    const float32x4_t distance = vaddq_f32(vdupq_n_f32(bounds.distance), change);
    vst1q_f32(out, distance);
    const uint32x4_t nearer = vcltq_f32(distance, vdupq_n_f32(bounds.threshold));
    return vaddvq_u32(vandq_u32(nearer, vld1q_u32(kBits)));
  }
  template <class Factor>
  static std::uint32_t finish(const Sums& sums, const PackedScanKernels::Query& query, const Factor* factors,
                              const PackedScanKernels::Bounds& bounds, float* out) noexcept {
    std::uint32_t nearer = 0;
    for (std::size_t i = 0; i < kRows; i += 8) {
      const uint16x8_t sum = sums.rows[i / 8];
      nearer |= finish_lanes(vmovl_u16(vget_low_u16(sum)), query, factors + i, bounds, out + i) << i;
      nearer |= finish_lanes(vmovl_high_u16(sum), query, factors + i + 4, bounds, out + i + 4) << (i + 4);
    }
    return nearer;
  }
};

}  // namespace

extern const PackedScanKernels kPackedScan = table<Simd>();

}  // namespace vdb::neon
