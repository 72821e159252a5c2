// The steps of a random rotation in 256-bit registers.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/rotation/driver.h"

struct Simd {
  using Register = __m256;
  static constexpr std::size_t kLanes = 8;

  static __m256 load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static void store(float* p, __m256 x) noexcept { _mm256_storeu_ps(p, x); }
  static __m256 add(__m256 a, __m256 b) noexcept { return _mm256_add_ps(a, b); }
  static __m256 sub(__m256 a, __m256 b) noexcept { return _mm256_sub_ps(a, b); }
  static __m256 multiply(__m256 x, float factor) noexcept { return _mm256_mul_ps(x, _mm256_set1_ps(factor)); }

  // A shift per lane brings its bit to the place of the sign.
  static __m256 flip(__m256 x, std::uint32_t bits) noexcept {
    const __m256i places = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    const __m256i at_sign = _mm256_sllv_epi32(_mm256_set1_epi32(static_cast<int>(bits)), places);
    return _mm256_xor_ps(x, _mm256_and_ps(_mm256_castsi256_ps(at_sign), _mm256_set1_ps(-0.0F)));
  }

  // Each stage adds the partner to the value, which the later lane of the pair takes negated. A product with 1 or -1 is
  // exact, so a fused step rounds as a sum or a difference does.
  static __m256 stages(__m256 x) noexcept {
    const __m256 by1 = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
    const __m256 by2 = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 by4 = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
    x = _mm256_fmadd_ps(x, by1, _mm256_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1)));
    x = _mm256_fmadd_ps(x, by2, _mm256_permute_ps(x, _MM_SHUFFLE(1, 0, 3, 2)));
    return _mm256_fmadd_ps(x, by4, _mm256_permute2f128_ps(x, x, 1));
  }
};

}  // namespace

extern const RotationKernels kRotation = table<Simd>();

}  // namespace vdb::avx2
