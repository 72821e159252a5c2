// float32 distances in 256-bit registers: sixteen of them hold two rows of four sums.
// Error: about dim/32 rounding steps of float32.
#include <immintrin.h>

#include <cstdint>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/distance/driver.h"

alignas(32) constexpr std::int32_t kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

struct Simd {
  using Register = __m256;
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kRows = 2;

  static __m256 zero() noexcept { return _mm256_setzero_ps(); }
  static __m256 load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static __m256 load_first(const float* p, std::size_t n) noexcept {
    return _mm256_maskload_ps(p, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + kLanes - n)));
  }
  static float reduce(const __m256* sums) noexcept {
    const __m256 sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  }
};

struct L2Squared {
  static __m256 step(__m256 sum, __m256 a, __m256 b) noexcept {
    const __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sum);
  }
};

struct InnerProduct {
  static __m256 step(__m256 sum, __m256 a, __m256 b) noexcept { return _mm256_fmadd_ps(a, b, sum); }
};

}  // namespace

extern const DistanceKernelsF32 kDistanceF32 = table<Simd, L2Squared, InnerProduct>();

}  // namespace vdb::avx2
