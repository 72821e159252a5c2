// Products of packed codes with widening multiplications, 16 dimensions at a time, and of bit planes with cnt.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/code_distance/bit_driver.h"
#include "simd/code_distance/driver.h"
#include "simd/code_distance/neon_registers.h"

template <unsigned kCodeBits>
struct Simd {
  using Register = int32x4_t;
  using Query = int8x16_t;
  static constexpr std::size_t kBits = kCodeBits;
  static constexpr std::size_t kParts = 4;
  static constexpr std::size_t kQueries = 2;  // with more, GCC 12 moves loads up until it spills

  static int32x4_t zero() noexcept { return vdupq_n_s32(0); }
  // The codes of 8 bits lack kOffset times the sum of the query.
  static int32x4_t start(const std::int8_t* query, std::size_t dim) noexcept {
    int32x4_t sum = zero();
    if constexpr (kBits == 8) {
      for (std::size_t i = 0; i < dim; i += sizeof(Query)) sum = vpadalq_s16(sum, vpaddlq_s8(vld1q_s8(query + i)));
    }
    return vshlq_n_s32(sum, kOffsetShift);
  }
  static int8x16_t load_query(const std::int8_t* query) noexcept { return vld1q_s8(query); }
  static int8x16_t unpack(const std::uint8_t* code, std::size_t quarter) noexcept {
    return unpack_quarter<kBits>(code, quarter);
  }
  static int32x4_t step(int32x4_t sum, int8x16_t codes, int8x16_t query) noexcept {
    const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(query));
    if constexpr (kBits < 8) return vpadalq_s16(sum, vmlal_high_s8(low, codes, query));
    // Two products of -128 and -128 are one more than 16 bits hold.
    return vpadalq_s16(vpadalq_s16(sum, low), vmull_high_s8(codes, query));
  }
  static int32x4_t add(int32x4_t a, int32x4_t b) noexcept { return vaddq_s32(a, b); }
  static void reduce(const int32x4_t* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

struct Bits {
  using Register = uint8x16_t;  // sums too, of which it holds four of 32 bits
  static constexpr std::size_t kWords = 2;

  static uint8x16_t zero() noexcept { return vdupq_n_u8(0); }
  static std::size_t mask(std::size_t n) noexcept { return n; }
  static uint8x16_t load(const std::uint8_t* p, std::size_t n) noexcept {
    return n >= kWords ? vld1q_u8(p) : vcombine_u8(vld1_u8(p), vdup_n_u8(0));
  }
  static uint8x16_t count(uint8x16_t code, uint8x16_t plane) noexcept { return vcntq_u8(vandq_u8(code, plane)); }
  static uint8x16_t gather(uint8x16_t counts, uint8x16_t count, std::size_t) noexcept {
    return vaddq_u8(vaddq_u8(counts, counts), count);
  }
  static uint8x16_t widen(uint8x16_t sum, uint8x16_t counts) noexcept {
    return vreinterpretq_u8_u32(vpadalq_u16(vreinterpretq_u32_u8(sum), vpaddlq_u8(counts)));
  }
  static void reduce(const uint8x16_t* sums, std::uint32_t* out) noexcept {
    const uint32x4_t ab = vpaddq_u32(vreinterpretq_u32_u8(sums[0]), vreinterpretq_u32_u8(sums[1]));
    const uint32x4_t cd = vpaddq_u32(vreinterpretq_u32_u8(sums[2]), vreinterpretq_u32_u8(sums[3]));
    vst1q_u32(out, vpaddq_u32(ab, cd));
  }
};

}  // namespace

extern const CodeKernels kCode = table<Simd>();
extern const BitCodeKernels kBitCode = bit_table<Bits>();

}  // namespace vdb::neon
