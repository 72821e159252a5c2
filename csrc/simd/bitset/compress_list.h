// Lists the bits of a word sixteen lanes at a time, for the AVX-512 levels. Included like driver.h. Compressing into
// memory is microcoded on Zen 4, so a register is compressed and stored whole.

inline std::uint32_t* compress_list(std::uint64_t bits, std::uint32_t first, std::uint32_t* out) noexcept {
  constexpr std::uint32_t kLanes = 16;
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; bits != 0; bits >>= kLanes, first += kLanes) {
    const auto mask = static_cast<__mmask16>(bits);
    const __m512i slots = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(first)));
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(mask, slots));
    out += __builtin_popcount(mask);
  }
  return out;
}
