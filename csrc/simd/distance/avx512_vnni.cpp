// The distances that gain from instructions made for them: the inner product of bfloat16, and int8.
// vdpbf16ps takes subnormal values for zero, and adds the products of two values before it adds them to the sum; the
// error stays about dim/64 rounding steps. int8 is exact until the result is rounded to float32.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512_vnni {
namespace {

#include "simd/distance/avx512_registers.h"
#include "simd/distance/driver.h"

// Register keeps pairs of products, so that a lane of a sum stands for two values.
struct Bfloat16 : Shape {
  using Value = std::uint16_t;
  using Register = __m512;
  static constexpr std::size_t kLanes = 32;

  static __m512 zero() noexcept { return _mm512_setzero_ps(); }
  static __m512i load(const std::uint16_t* p) noexcept { return _mm512_loadu_epi16(p); }
  static __m512i load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return _mm512_maskz_loadu_epi16((1U << n) - 1U, p);
  }
  // Within each quarter (0 + 2) + (1 + 3), then quarters in the same pattern; reduce4 the same for four at once.
  static float reduce(const __m512* sums) noexcept {
    const __m512 sum = _mm512_add_ps(sums[0], sums[1]);
    const __m512 two = _mm512_add_ps(sum, _mm512_permute_ps(sum, 0b01'00'11'10));
    return _mm_cvtss_f32(add_quarters(_mm512_add_ps(two, _mm512_permute_ps(two, 0b10'11'00'01))));
  }
  static void reduce4(const __m512 (*sums)[kSums], float* out) noexcept {
    const __m512 a = _mm512_add_ps(sums[0][0], sums[0][1]);
    const __m512 b = _mm512_add_ps(sums[1][0], sums[1][1]);
    const __m512 c = _mm512_add_ps(sums[2][0], sums[2][1]);
    const __m512 d = _mm512_add_ps(sums[3][0], sums[3][1]);
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512 all =
        _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0b01'00'01'00), _mm512_shuffle_ps(ab, cd, 0b11'10'11'10));
    _mm_storeu_ps(out, add_quarters(all));
  }
  static __m128 add_quarters(__m512 sum) noexcept {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(sum), _mm512_extractf32x8_ps(sum, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
};

struct Bfloat16InnerProduct {
  static __m512 start(const void*, std::size_t) noexcept { return _mm512_setzero_ps(); }
  static __m512 step(__m512 sum, __m512i a, __m512i b) noexcept {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
  }
};

// Widened to 16 bits, for differences.
struct Int8Words : Int8Sums {
  static constexpr std::size_t kLanes = 32;

  static __m512i load(const std::int8_t* p) noexcept { return _mm512_cvtepi8_epi16(_mm256_loadu_epi8(p)); }
  static __m512i load_first(const std::int8_t* p, std::size_t n) noexcept {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8((1U << n) - 1U, p));
  }
  static float reduce(const __m512i* sums) noexcept {
    return static_cast<float>(static_cast<std::uint32_t>(total(sums)));
  }
  static void reduce4(const __m512i (*sums)[kSums], float* out) noexcept {
    _mm_storeu_ps(out, _mm_cvtepu32_ps(total4(sums)));
  }
};

struct Int8L2Squared {
  static __m512i start(const void*, std::size_t) noexcept { return _mm512_setzero_si512(); }
  static __m512i step(__m512i sum, __m512i a, __m512i b) noexcept {
    const __m512i difference = _mm512_sub_epi16(a, b);
    return _mm512_dpwssd_epi32(sum, difference, difference);
  }
};

struct Int8Bytes : Int8Sums {
  static constexpr std::size_t kLanes = 64;

  static __m512i load(const std::int8_t* p) noexcept { return _mm512_loadu_epi8(p); }
  static __m512i load_first(const std::int8_t* p, std::size_t n) noexcept {
    return _mm512_maskz_loadu_epi8((std::uint64_t{1} << n) - 1U, p);
  }
  static float reduce(const __m512i* sums) noexcept { return static_cast<float>(total(sums)); }
  static void reduce4(const __m512i (*sums)[kSums], float* out) noexcept {
    _mm_storeu_ps(out, _mm_cvtepi32_ps(total4(sums)));
  }
};

// vpdpbusd wants one side unsigned: rows are taken as row + 128, and the sum begins at -128 * sum(query).
struct Int8InnerProduct {
  static __m512i start(const std::int8_t* query, std::size_t dim) noexcept {
    __m512i sum = _mm512_setzero_si512();
    std::size_t i = 0;
    for (; i + Int8Bytes::kLanes <= dim; i += Int8Bytes::kLanes) {
      sum = _mm512_dpbusd_epi32(sum, offset(), Int8Bytes::load(query + i));
    }
    if (i < dim) sum = _mm512_dpbusd_epi32(sum, offset(), Int8Bytes::load_first(query + i, dim - i));
    return _mm512_sub_epi32(_mm512_setzero_si512(), sum);
  }
  static __m512i step(__m512i sum, __m512i query, __m512i row) noexcept {
    return _mm512_dpbusd_epi32(sum, _mm512_xor_si512(row, offset()), query);
  }
  static __m512i offset() noexcept { return _mm512_set1_epi8(-128); }
};

}  // namespace

extern const DistanceKernels::Forms kInnerProductBf16 = forms<Bfloat16, Bfloat16InnerProduct>();
extern const DistanceKernels kDistanceI8{forms<Int8Words, Int8L2Squared>(), forms<Int8Bytes, Int8InnerProduct>()};

}  // namespace vdb::avx512_vnni
