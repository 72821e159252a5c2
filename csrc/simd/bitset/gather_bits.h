// Looks bits up sixteen lanes at a time, for the AVX-512 levels. Included like driver.h.

inline std::uint32_t gather_bits(const std::uint64_t* words, const std::uint32_t* values,
                                 std::uint32_t limit) noexcept {
  constexpr int kLanes = 16;
  std::uint32_t found = 0;
  for (int i = 0; i < static_cast<int>(BitsetKernels::kLookedUp); i += kLanes) {
    const __m512i at = _mm512_loadu_si512(values + i);
    const __mmask16 below = _mm512_cmplt_epu32_mask(at, _mm512_set1_epi32(static_cast<int>(limit)));
    const __m512i half_words =
        _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), below, _mm512_srli_epi32(at, 5), words, 4);
    const __m512i bit = _mm512_sllv_epi32(_mm512_set1_epi32(1), _mm512_and_si512(at, _mm512_set1_epi32(31)));
    found |= static_cast<std::uint32_t>(_mm512_test_epi32_mask(half_words, bit)) << i;
  }
  return found;
}
