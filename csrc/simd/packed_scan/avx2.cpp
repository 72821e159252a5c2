// Packed neighbours in 256-bit registers: one holds a byte of each of the 32 rows.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/packed_scan/driver.h"

struct Simd {
  // `all` adds the 16-bit words of the looked-up bytes, `odd` their upper bytes: two sums of rows in each word.
  struct Sums {
    __m256i all;
    __m256i odd;
  };

  static Sums zero() noexcept { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static __m256i load_twice(const std::uint8_t* p) noexcept {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // A sub-quantiser in each half of a byte.
  static __m256i look_up(const std::uint8_t* table, const std::uint8_t* codes) noexcept {
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    const __m256i low = _mm256_shuffle_epi8(load_twice(table), _mm256_and_si256(bytes, nibble));
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
    return _mm256_add_epi8(low, _mm256_shuffle_epi8(load_twice(table + kEntries), high));
  }
  static void add(Sums& sums, const std::uint8_t* table, const std::uint8_t* codes) noexcept {
    const __m256i four = _mm256_add_epi8(look_up(table, codes), look_up(table + 2 * kEntries, codes + kRows));
    sums.all = _mm256_add_epi16(sums.all, four);
    sums.odd = _mm256_add_epi16(sums.odd, _mm256_srli_epi16(four, 8));
  }

  static __m256 load(const float* factors) noexcept { return _mm256_loadu_ps(factors); }
  static __m256 load(const std::uint16_t* factors) noexcept {
    const __m256i upper = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(factors)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(upper, 16));
  }
  template <class Factor>
  static std::uint32_t finish_lanes(__m128i sums, const PackedScanKernels::Query& query, const Factor* factors,
                                    const PackedScanKernels::Bounds& bounds, float* out) noexcept {
    const __m256 sum = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums));
    const __m256 product = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(query.scale), sum), _mm256_set1_ps(query.base));
    const __m256 change = _mm256_add_ps(load(factors), _mm256_mul_ps(load(factors + kRows), product));
    const __m256 distance = _mm256_add_ps(_mm256_set1_ps(bounds.distance), change);
    _mm256_storeu_ps(out, distance);
    const __m256 nearer = _mm256_cmp_ps(distance, _mm256_set1_ps(bounds.threshold), _CMP_LT_OQ);
    return static_cast<std::uint32_t>(_mm256_movemask_ps(nearer));
  }
  template <class Factor>
  static std::uint32_t finish(const Sums& sums, const PackedScanKernels::Query& query, const Factor* factors,
                              const PackedScanKernels::Bounds& bounds, float* out) noexcept {
    const __m256i even = _mm256_sub_epi16(sums.all, _mm256_slli_epi16(sums.odd, 8));
    const __m256i low = _mm256_unpacklo_epi16(even, sums.odd);   // rows 0 to 7 and 16 to 23
    const __m256i high = _mm256_unpackhi_epi16(even, sums.odd);  // rows 8 to 15 and 24 to 31
    return finish_lanes(_mm256_castsi256_si128(low), query, factors, bounds, out) |
           finish_lanes(_mm256_castsi256_si128(high), query, factors + 8, bounds, out + 8) << 8U |
           finish_lanes(_mm256_extracti128_si256(low, 1), query, factors + 16, bounds, out + 16) << 16U |
           finish_lanes(_mm256_extracti128_si256(high, 1), query, factors + 24, bounds, out + 24) << 24U;
  }
};

}  // namespace

extern const PackedScanKernels kPackedScan = table<Simd>();

}  // namespace vdb::avx2
