// Distances in 256-bit registers: sixteen of them hold the sums of four rows, or of a tile of two queries and two rows.
// The float dtypes accumulate float32, error about dim/16 rounding steps; int8 is exact until the result is rounded.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/distance/driver.h"

struct Shape {
  static constexpr std::size_t kSums = 2;
  static constexpr std::size_t kRows = 4;
  static constexpr bool kWidens = false;
  static constexpr std::size_t kTileQueries = 2;
  static constexpr std::size_t kTileRows = 2;
};

struct Floats : Shape {
  using Register = __m256;
  static constexpr std::size_t kLanes = 8;

  static __m256 zero() noexcept { return _mm256_setzero_ps(); }

  // Within each half (0 + 2) + (1 + 3), then the halves; reduce4 the same for four at once.
  static float reduce(const __m256* sums) noexcept {
    const __m256 sum = _mm256_add_ps(sums[0], sums[1]);
    const __m256 two = _mm256_add_ps(sum, _mm256_permute_ps(sum, 0b01'00'11'10));
    return _mm_cvtss_f32(add_halves(_mm256_add_ps(two, _mm256_permute_ps(two, 0b10'11'00'01))));
  }
  static void reduce4(const __m256 (*sums)[kSums], float* out) noexcept {
    const __m256 a = _mm256_add_ps(sums[0][0], sums[0][1]);
    const __m256 b = _mm256_add_ps(sums[1][0], sums[1][1]);
    const __m256 c = _mm256_add_ps(sums[2][0], sums[2][1]);
    const __m256 d = _mm256_add_ps(sums[3][0], sums[3][1]);
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 all =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0b01'00'01'00), _mm256_shuffle_ps(ab, cd, 0b11'10'11'10));
    _mm_storeu_ps(out, add_halves(all));
  }
  static __m128 add_halves(__m256 sum) noexcept {
    return _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
  }
};

alignas(32) constexpr std::int32_t kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Float32 : Floats {
  using Value = float;
  static void store(float* p, __m256 values) noexcept { _mm256_storeu_ps(p, values); }
  static __m256 load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static __m256 load_first(const float* p, std::size_t n) noexcept {
    return _mm256_maskload_ps(p, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + kLanes - n)));
  }
};

// 16 bytes, the first n values of them read: there are no masked loads of values this narrow.
template <class Value>
__m128i load_bytes(const Value* p) noexcept {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
template <class Value>
__m128i load_first_bytes(const Value* p, std::size_t n) noexcept {
  Value values[sizeof(__m128i) / sizeof(Value)] = {};
  __builtin_memcpy(values, p, n * sizeof(Value));
  return load_bytes(values);
}

struct Float16 : Float32 {
  using Value = std::uint16_t;
  using Float32::load;
  using Float32::load_first;
  static constexpr bool kWidens = true;
  static __m256 load(const std::uint16_t* p) noexcept { return _mm256_cvtph_ps(load_bytes(p)); }
  static __m256 load_first(const std::uint16_t* p, std::size_t n) noexcept {
    return _mm256_cvtph_ps(load_first_bytes(p, n));
  }
};

struct Bfloat16 : Float32 {
  using Value = std::uint16_t;
  using Float32::load;
  using Float32::load_first;
  static constexpr bool kWidens = true;
  static __m256 load(const std::uint16_t* p) noexcept { return widen(load_bytes(p)); }
  static __m256 load_first(const std::uint16_t* p, std::size_t n) noexcept { return widen(load_first_bytes(p, n)); }
  static __m256 widen(__m128i bits) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
};

struct FloatOp {
  static __m256 start(const void*, std::size_t) noexcept { return _mm256_setzero_ps(); }
};

struct L2Squared : FloatOp {
  static __m256 step(__m256 sum, __m256 a, __m256 b) noexcept {
    const __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sum);
  }
};

struct InnerProduct : FloatOp {
  static __m256 step(__m256 sum, __m256 a, __m256 b) noexcept { return _mm256_fmadd_ps(a, b, sum); }
};

// Integers of 65,535 dimensions: a squared distance is below 2^32, an inner product within 2^31, so sums modulo 2^32
// are exact when the last is read as what it is.
template <class Sum>
struct Int8 : Shape {
  using Value = std::int8_t;
  using Register = __m256i;
  static constexpr std::size_t kLanes = 16;

  static __m256i zero() noexcept { return _mm256_setzero_si256(); }
  static __m256i load(const std::int8_t* p) noexcept { return _mm256_cvtepi8_epi16(load_bytes(p)); }
  static __m256i load_first(const std::int8_t* p, std::size_t n) noexcept {
    return _mm256_cvtepi8_epi16(load_first_bytes(p, n));
  }
  static float reduce(const __m256i* sums) noexcept {
    const __m256i sum = _mm256_add_epi32(sums[0], sums[1]);
    const __m256i two = _mm256_add_epi32(sum, _mm256_shuffle_epi32(sum, 0b01'00'11'10));
    const __m256i one = _mm256_add_epi32(two, _mm256_shuffle_epi32(two, 0b10'11'00'01));
    return static_cast<float>(static_cast<Sum>(_mm_cvtsi128_si32(add_halves(one))));
  }
  static void reduce4(const __m256i (*sums)[kSums], float* out) noexcept {
    const __m256i a = _mm256_add_epi32(sums[0][0], sums[0][1]);
    const __m256i b = _mm256_add_epi32(sums[1][0], sums[1][1]);
    const __m256i c = _mm256_add_epi32(sums[2][0], sums[2][1]);
    const __m256i d = _mm256_add_epi32(sums[3][0], sums[3][1]);
    const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    const __m256i all = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    alignas(16) Sum four[4];
    _mm_store_si128(reinterpret_cast<__m128i*>(four), add_halves(all));
    for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<float>(four[i]);
  }
  static __m128i add_halves(__m256i sum) noexcept {
    return _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  }
};

struct Int8Op {
  static __m256i start(const void*, std::size_t) noexcept { return _mm256_setzero_si256(); }
};

struct Int8L2Squared : Int8Op {
  static __m256i step(__m256i sum, __m256i a, __m256i b) noexcept {
    const __m256i difference = _mm256_sub_epi16(a, b);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(difference, difference));
  }
};

struct Int8InnerProduct : Int8Op {
  static __m256i step(__m256i sum, __m256i a, __m256i b) noexcept {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }
};

}  // namespace

extern const DistanceKernels kDistanceF32{forms<Float32, L2Squared>(), forms<Float32, InnerProduct>()};
extern const DistanceKernels kDistanceF16{forms<Float16, L2Squared>(), forms<Float16, InnerProduct>()};
extern const DistanceKernels kDistanceBf16{forms<Bfloat16, L2Squared>(), forms<Bfloat16, InnerProduct>()};
extern const DistanceKernels kDistanceI8{forms<Int8<std::uint32_t>, Int8L2Squared>(),
                                         forms<Int8<std::int32_t>, Int8InnerProduct>()};

}  // namespace vdb::avx2
