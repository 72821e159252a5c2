// Product quantisation in 256-bit registers: one holds a byte of each row of a block. 512-bit forms were measured at
// 0.83 to 1.03 times the time of these on Zen 4, so the levels above use this table.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/pq_scan/driver.h"

struct Simd {
  using Register = __m256;
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kColumnRegisters = 8;

  static __m256 zero() noexcept { return _mm256_setzero_ps(); }
  static __m256 load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void store(float* p, __m256 r) noexcept { _mm256_storeu_ps(p, r); }
  static __m256 broadcast(float x) noexcept { return _mm256_set1_ps(x); }
  static __m256 l2_step(__m256 sum, __m256 a, __m256 b) noexcept {
    const __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sum);
  }
  static __m256 product_step(__m256 sum, __m256 a, __m256 b) noexcept { return _mm256_fmadd_ps(a, b, sum); }

  struct Best {
    __m256 distance;
    __m256i at;
  };
  static Best none() noexcept { return {_mm256_set1_ps(__builtin_inff()), _mm256_setzero_si256()}; }
  static void offer(Best& best, __m256 distances, std::uint32_t first) noexcept {
    const __m256i at =
        _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256 nearer = _mm256_cmp_ps(distances, best.distance, _CMP_LT_OQ);
    best.distance = _mm256_blendv_ps(best.distance, distances, nearer);
    best.at = _mm256_blendv_epi8(best.at, at, _mm256_castps_si256(nearer));
  }
  static std::uint32_t least(const Best& best, float* distance) noexcept {
    float distances[kLanes];
    std::uint32_t at[kLanes];
    _mm256_storeu_ps(distances, best.distance);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at), best.at);
    return least_lane(distances, at, kLanes, distance);
  }
};

struct Scan {
  // `all` adds the 16-bit words of the looked-up bytes, `odd` their upper bytes: two sums of rows in each word.
  struct Sums {
    __m256i all;
    __m256i odd;
  };
  struct Tables {
    __m256i low;
    __m256i high;
  };
  static constexpr std::size_t kBlocks = 2;

  static Sums zero() noexcept { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static __m256i load_twice(const std::uint8_t* p) noexcept {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static Tables tables(const std::uint8_t* p) noexcept { return {load_twice(p), load_twice(p + kTable4)}; }
  static void add(Sums& sums, const Tables& tables, const std::uint8_t* codes) noexcept {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i a = _mm256_shuffle_epi8(tables.low, _mm256_and_si256(bytes, nibble));
    const __m256i b = _mm256_shuffle_epi8(tables.high, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble));
    sums.all = _mm256_add_epi16(sums.all, _mm256_add_epi16(a, b));
    sums.odd = _mm256_add_epi16(sums.odd, _mm256_add_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)));
  }
  static void store(const Sums& sums, std::uint16_t* out) noexcept {
    const __m256i even = _mm256_sub_epi16(sums.all, _mm256_slli_epi16(sums.odd, 8));
    const __m256i low = _mm256_unpacklo_epi16(even, sums.odd);
    const __m256i high = _mm256_unpackhi_epi16(even, sums.odd);
    __m256i* const p = reinterpret_cast<__m256i*>(out);
    _mm256_storeu_si256(p, _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(p + 1, _mm256_permute2x128_si256(low, high, 0x31));
  }
};

}  // namespace

extern const PqKernels kPq = table<Simd, Scan>();

}  // namespace vdb::avx2
