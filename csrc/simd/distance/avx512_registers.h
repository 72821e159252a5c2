// What the levels with 512-bit registers share. Each includes it inside its own anonymous namespace.

struct Shape {
  static constexpr std::size_t kSums = 2;
  static constexpr std::size_t kRows = 4;
  static constexpr bool kWidens = false;
  static constexpr std::size_t kTileQueries = 2;
  static constexpr std::size_t kTileRows = 4;
};

// Integers of 65,535 dimensions: a squared distance is below 2^32, an inner product within 2^31, so sums modulo 2^32
// are exact when the last is read as what it is.
struct Int8Sums : Shape {
  using Value = std::int8_t;
  using Register = __m512i;

  static __m512i zero() noexcept { return _mm512_setzero_si512(); }
  // By instructions that wrap around, which the compiler's own reduction need not.
  static std::int32_t total(const __m512i* sums) noexcept {
    const __m512i sum = _mm512_add_epi32(sums[0], sums[1]);
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti32x8_epi32(sum, 1));
    const __m128i quarter = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    const __m128i two = _mm_add_epi32(quarter, _mm_shuffle_epi32(quarter, 0b01'00'11'10));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0b10'11'00'01)));
  }
  static __m128i total4(const __m512i (*sums)[kSums]) noexcept {
    const __m512i a = _mm512_add_epi32(sums[0][0], sums[0][1]);
    const __m512i b = _mm512_add_epi32(sums[1][0], sums[1][1]);
    const __m512i c = _mm512_add_epi32(sums[2][0], sums[2][1]);
    const __m512i d = _mm512_add_epi32(sums[3][0], sums[3][1]);
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti32x8_epi32(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
};
