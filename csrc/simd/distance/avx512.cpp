// Distances in 512-bit registers: thirty-two of them hold the sums of a tile of two queries and four rows.
// The float dtypes accumulate float32, error about dim/32 rounding steps; int8 is exact until the result is rounded.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512 {
namespace {

#include "simd/distance/avx512_registers.h"
#include "simd/distance/driver.h"

struct Floats : Shape {
  using Register = __m512;
  static constexpr std::size_t kLanes = 16;

  static __m512 zero() noexcept { return _mm512_setzero_ps(); }

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

// The lowest n lanes.
__mmask16 first(std::size_t n) noexcept { return static_cast<__mmask16>((1U << n) - 1U); }

struct Float32 : Floats {
  using Value = float;
  static void store(float* p, __m512 values) noexcept { _mm512_storeu_ps(p, values); }
  static __m512 load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static __m512 load_first(const float* p, std::size_t n) noexcept { return _mm512_maskz_loadu_ps(first(n), p); }
};

struct Float16 : Float32 {
  using Value = std::uint16_t;
  using Float32::load;
  using Float32::load_first;
  static constexpr bool kWidens = true;
  static __m512 load(const std::uint16_t* p) noexcept { return _mm512_cvtph_ps(_mm256_loadu_epi16(p)); }
  static __m512 load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p));
  }
};

struct Bfloat16 : Float32 {
  using Value = std::uint16_t;
  using Float32::load;
  using Float32::load_first;
  static constexpr bool kWidens = true;
  static __m512 load(const std::uint16_t* p) noexcept { return widen(_mm256_loadu_epi16(p)); }
  static __m512 load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return widen(_mm256_maskz_loadu_epi16(first(n), p));
  }
  static __m512 widen(__m256i bits) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
};

struct FloatOp {
  static __m512 start(const void*, std::size_t) noexcept { return _mm512_setzero_ps(); }
};

struct L2Squared : FloatOp {
  static __m512 step(__m512 sum, __m512 a, __m512 b) noexcept {
    const __m512 difference = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(difference, difference, sum);
  }
};

struct InnerProduct : FloatOp {
  static __m512 step(__m512 sum, __m512 a, __m512 b) noexcept { return _mm512_fmadd_ps(a, b, sum); }
};

struct Int8 : Int8Sums {
  static constexpr std::size_t kLanes = 32;

  static __m512i load(const std::int8_t* p) noexcept { return _mm512_cvtepi8_epi16(_mm256_loadu_epi8(p)); }
  static __m512i load_first(const std::int8_t* p, std::size_t n) noexcept {
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8((1U << n) - 1U, p));
  }
};

struct Int8Signed : Int8 {
  static float reduce(const __m512i* sums) noexcept { return static_cast<float>(total(sums)); }
  static void reduce4(const __m512i (*sums)[kSums], float* out) noexcept {
    _mm_storeu_ps(out, _mm_cvtepi32_ps(total4(sums)));
  }
};

struct Int8Unsigned : Int8 {
  static float reduce(const __m512i* sums) noexcept {
    return static_cast<float>(static_cast<std::uint32_t>(total(sums)));
  }
  static void reduce4(const __m512i (*sums)[kSums], float* out) noexcept {
    _mm_storeu_ps(out, _mm_cvtepu32_ps(total4(sums)));
  }
};

struct Int8Op {
  static __m512i start(const void*, std::size_t) noexcept { return _mm512_setzero_si512(); }
};

struct Int8L2Squared : Int8Op {
  static __m512i step(__m512i sum, __m512i a, __m512i b) noexcept {
    const __m512i difference = _mm512_sub_epi16(a, b);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(difference, difference));
  }
};

struct Int8InnerProduct : Int8Op {
  static __m512i step(__m512i sum, __m512i a, __m512i b) noexcept {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
  }
};

}  // namespace

extern const DistanceKernels kDistanceF32{forms<Float32, L2Squared>(), forms<Float32, InnerProduct>()};
extern const DistanceKernels kDistanceF16{forms<Float16, L2Squared>(), forms<Float16, InnerProduct>()};
extern const DistanceKernels kDistanceBf16{forms<Bfloat16, L2Squared>(), forms<Bfloat16, InnerProduct>()};
extern const DistanceKernels kDistanceI8{forms<Int8Unsigned, Int8L2Squared>(), forms<Int8Signed, Int8InnerProduct>()};

}  // namespace vdb::avx512
