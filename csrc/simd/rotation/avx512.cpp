// The steps of a random rotation in 512-bit registers.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512 {
namespace {

#include "simd/rotation/driver.h"

struct Simd {
  using Register = __m512;
  static constexpr std::size_t kLanes = 16;

  static __m512 load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static void store(float* p, __m512 x) noexcept { _mm512_storeu_ps(p, x); }
  static __m512 add(__m512 a, __m512 b) noexcept { return _mm512_add_ps(a, b); }
  static __m512 sub(__m512 a, __m512 b) noexcept { return _mm512_sub_ps(a, b); }
  static __m512 multiply(__m512 x, float factor) noexcept { return _mm512_mul_ps(x, _mm512_set1_ps(factor)); }

  static __m512 flip(__m512 x, std::uint32_t bits) noexcept {
    return _mm512_mask_xor_ps(x, static_cast<__mmask16>(bits), x, _mm512_set1_ps(-0.0F));
  }

  // Each stage adds the partner to the value, which the later lane of the pair takes negated. A product with 1 or -1 is
  // exact, so a fused step rounds as a sum or a difference does.
  static __m512 stages(__m512 x) noexcept {
    const __m512 by1 = _mm512_setr_ps(1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1);
    const __m512 by2 = _mm512_setr_ps(1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1);
    const __m512 by4 = _mm512_setr_ps(1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1);
    const __m512 by8 = _mm512_setr_ps(1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1);
    x = _mm512_fmadd_ps(x, by1, _mm512_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1)));
    x = _mm512_fmadd_ps(x, by2, _mm512_permute_ps(x, _MM_SHUFFLE(1, 0, 3, 2)));
    x = _mm512_fmadd_ps(x, by4, _mm512_shuffle_f32x4(x, x, _MM_SHUFFLE(2, 3, 0, 1)));
    return _mm512_fmadd_ps(x, by8, _mm512_shuffle_f32x4(x, x, _MM_SHUFFLE(1, 0, 3, 2)));
  }
};

}  // namespace

extern const RotationKernels kRotation = table<Simd>();

}  // namespace vdb::avx512
