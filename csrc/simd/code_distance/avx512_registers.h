// What the AVX-512 levels of the code products share: unpacking a block of 64 codes and adding lanes up. Included
// inside the anonymous namespace of each of them, as driver.h is.

// Sums by the type of their lanes: as __m512i, of 64-bit lanes, GCC 12 copies each of them before and after every step.
using Lanes = std::int32_t __attribute__((vector_size(64)));

// A block of 64 codes of kBits bits as 64 bytes.
template <unsigned kBits>
__m512i unpack_block(const std::uint8_t* code) noexcept {
  if constexpr (kBits == 8) {
    return _mm512_loadu_si512(code);
  } else if constexpr (kBits == 4) {
    const __m512i both = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(code)));
    const __m512i shifted = _mm512_srlv_epi64(both, _mm512_set_epi64(4, 4, 4, 4, 0, 0, 0, 0));
    return _mm512_and_si512(shifted, _mm512_set1_epi8(15));
  } else if constexpr (kBits == 2) {
    const __m512i four = _mm512_broadcast_i64x2(_mm_loadu_si128(reinterpret_cast<const __m128i*>(code)));
    const __m512i shifted = _mm512_srlv_epi64(four, _mm512_set_epi64(6, 6, 4, 4, 2, 2, 0, 0));
    return _mm512_and_si512(shifted, _mm512_set1_epi8(3));
  } else {
    std::uint64_t word;
    __builtin_memcpy(&word, code, sizeof word);
    return _mm512_maskz_mov_epi8(word, _mm512_set1_epi8(1));
  }
}

__m128i fold(__m512i lanes) noexcept {
  const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

// The sum of the 32-bit lanes of each of four registers: a transposition in which every level adds.
void reduce_lanes(const Lanes* lanes, std::int32_t* out) noexcept {
  const __m512i sums[4] = {reinterpret_cast<__m512i>(lanes[0]), reinterpret_cast<__m512i>(lanes[1]),
                           reinterpret_cast<__m512i>(lanes[2]), reinterpret_cast<__m512i>(lanes[3])};
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[0], sums[1]), _mm512_unpackhi_epi32(sums[0], sums[1]));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(sums[2], sums[3]), _mm512_unpackhi_epi32(sums[2], sums[3]));
  const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), fold(all));
}

// The same for 64-bit lanes of small values: two registers share one, each in its half of the lanes.
void reduce_counts(const __m512i* sums, std::uint32_t* out) noexcept {
  const __m512i ac = _mm512_or_si512(sums[0], _mm512_slli_epi64(sums[2], 32));
  const __m512i bd = _mm512_or_si512(sums[1], _mm512_slli_epi64(sums[3], 32));
  const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi32(ac, bd), _mm512_unpackhi_epi32(ac, bd));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), fold(all));
}

struct BitRegisters {
  using Register = __m512i;
  static constexpr std::size_t kWords = 8;

  static __m512i zero() noexcept { return _mm512_setzero_si512(); }
  static __mmask8 mask(std::size_t n) noexcept { return static_cast<__mmask8>(n >= kWords ? 0xFFU : (1U << n) - 1U); }
  static __m512i load(const std::uint8_t* p, __mmask8 words) noexcept { return _mm512_maskz_loadu_epi64(words, p); }
  static void reduce(const __m512i* sums, std::uint32_t* out) noexcept { reduce_counts(sums, out); }
};

void cut_registers(const std::uint8_t* values, std::size_t bits, std::size_t words, std::uint64_t* planes) noexcept {
  for (std::size_t w = 0; w < words; ++w) {
    const __m512i block = _mm512_loadu_si512(values + w * sizeof(__m512i));
    for (std::size_t p = 0; p < bits; ++p) {
      planes[p * words + w] = _mm512_test_epi8_mask(block, _mm512_set1_epi8(static_cast<char>(1U << p)));
    }
  }
}
