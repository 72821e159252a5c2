// Bitmaps in 128-bit NEON registers.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon {
namespace {

#include "simd/bitset/byte_lists.h"
#include "simd/bitset/driver.h"

struct Simd {
  using Register = uint64x2_t;
  static constexpr std::size_t kWords = 2;

  static uint64x2_t zero() noexcept { return vdupq_n_u64(0); }
  static uint64x2_t load(const std::uint64_t* p) noexcept { return vld1q_u64(p); }
  static void store(std::uint64_t* p, uint64x2_t x) noexcept { vst1q_u64(p, x); }
  static uint64x2_t bit_and(uint64x2_t a, uint64x2_t b) noexcept { return vandq_u64(a, b); }
  static uint64x2_t bit_or(uint64x2_t a, uint64x2_t b) noexcept { return vorrq_u64(a, b); }
  static uint64x2_t bit_andnot(uint64x2_t a, uint64x2_t b) noexcept { return vbicq_u64(a, b); }

  static uint64x2_t count(uint64x2_t sums, uint64x2_t x) noexcept {
    return vpadalq_u32(sums, vpaddlq_u16(vpaddlq_u8(vcntq_u8(vreinterpretq_u8_u64(x)))));
  }
  static std::size_t reduce(uint64x2_t sums) noexcept { return vaddvq_u64(sums); }

  static unsigned occupied(uint64x2_t x) noexcept {
    return (vgetq_lane_u64(x, 0) != 0 ? 1U : 0U) | (vgetq_lane_u64(x, 1) != 0 ? 2U : 0U);
  }

  // Eight lanes of a byte's list are stored, of which only the bits of the byte count.
  static std::uint32_t* list_word(std::uint64_t bits, std::uint32_t first, std::uint32_t* out) noexcept {
    for (; bits != 0; bits >>= kByteBits, first += kByteBits) {
      const std::uint64_t byte = bits % kByteValues;
      const uint16x8_t list = vmovl_u8(vld1_u8(kByteLists.at[byte]));
      vst1q_u32(out, vaddw_u16(vdupq_n_u32(first), vget_low_u16(list)));
      vst1q_u32(out + 4, vaddw_u16(vdupq_n_u32(first), vget_high_u16(list)));
      out += bits_of(byte);
    }
    return out;
  }
  static std::uint32_t look_up(const std::uint64_t* words, const std::uint32_t* values, std::uint32_t limit) noexcept {
    return Word::look_up(words, values, limit);
  }
};

}  // namespace

extern const BitsetKernels kBitset = table<Simd>();

}  // namespace vdb::neon
