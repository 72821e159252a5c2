// float32 distances in 512-bit registers: thirty-two of them hold four rows of four sums.
// Error: about dim/64 rounding steps of float32.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512 {
namespace {

#include "simd/distance/driver.h"

struct Simd {
  using Register = __m512;
  static constexpr std::size_t kLanes = 16;
  static constexpr std::size_t kRows = 4;

  static __m512 zero() noexcept { return _mm512_setzero_ps(); }
  static __m512 load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static __m512 load_first(const float* p, std::size_t n) noexcept {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << n) - 1U), p);
  }
  static float reduce(const __m512* sums) noexcept {
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
  }
};

struct L2Squared {
  static __m512 step(__m512 sum, __m512 a, __m512 b) noexcept {
    const __m512 difference = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(difference, difference, sum);
  }
};

struct InnerProduct {
  static __m512 step(__m512 sum, __m512 a, __m512 b) noexcept { return _mm512_fmadd_ps(a, b, sum); }
};

}  // namespace

extern const DistanceKernelsF32 kDistanceF32 = table<Simd, L2Squared, InnerProduct>();

}  // namespace vdb::avx512
