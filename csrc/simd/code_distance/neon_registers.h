// What the NEON levels of the code products share: unpacking a quarter of a block, 16 codes, as signed bytes. Included
// inside the anonymous namespace of each of them, as driver.h is.

// What codes of 8 bits are less than they are packed as, to fit a signed byte.
constexpr int kOffsetShift = 7;
constexpr std::uint8_t kOffset = 1U << kOffsetShift;

template <unsigned kBits>
int8x16_t unpack_quarter(const std::uint8_t* code, std::size_t quarter) noexcept {
  if constexpr (kBits == 8) {
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(code + quarter * 16), vdupq_n_u8(kOffset)));
  } else if constexpr (kBits == 4) {
    const uint8x16_t both = vld1q_u8(code + quarter % 2 * 16);
    return vreinterpretq_s8_u8(quarter < 2 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4));
  } else if constexpr (kBits == 2) {
    const int8x16_t right = vdupq_n_s8(static_cast<std::int8_t>(-2 * static_cast<int>(quarter)));
    return vreinterpretq_s8_u8(vandq_u8(vshlq_u8(vld1q_u8(code), right), vdupq_n_u8(3)));
  } else {
    const std::uint8_t* const bytes = code + quarter * 2;
    const uint8x8_t bit = vcreate_u8(0x8040201008040201);
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(bytes[0]), vdup_n_u8(bytes[1]));
    return vreinterpretq_s8_u8(vandq_u8(vtstq_u8(spread, vcombine_u8(bit, bit)), vdupq_n_u8(1)));
  }
}

// The sum of the lanes of each of four registers.
void reduce_lanes(const int32x4_t* sums, std::int32_t* out) noexcept {
  vst1q_s32(out, vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3])));
}
