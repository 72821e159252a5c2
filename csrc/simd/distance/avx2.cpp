// float32 distances in 256-bit registers. Sixteen registers hold two rows of four accumulators, so the x4 form is two
// passes; a masked load takes the tail. Error: about dim/32 rounding steps of float32.
#include <immintrin.h>

#include <cstdint>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kSums = 4;

struct L2Squared {
  static __m256 step(__m256 sum, __m256 a, __m256 b) noexcept {
    const __m256 difference = _mm256_sub_ps(a, b);
    return _mm256_fmadd_ps(difference, difference, sum);
  }
};

struct InnerProduct {
  static __m256 step(__m256 sum, __m256 a, __m256 b) noexcept { return _mm256_fmadd_ps(a, b, sum); }
};

float reduce(const __m256* sums) noexcept {
  const __m256 sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// The first `left` lanes, at most all of them.
__m256i tail_mask(std::size_t left) noexcept {
  alignas(32) static constexpr std::int32_t kMask[2 * kLanes] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                                 0,  0,  0,  0,  0,  0,  0,  0};
  const std::size_t lanes = left < kLanes ? left : kLanes;
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + kLanes - lanes));
}

// The one loop of this file: kRows rows against one query.
template <class Op, std::size_t kRows>
void accumulate(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  __m256 sums[kRows][kSums];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t s = 0; s < kSums; ++s) sums[r][s] = _mm256_setzero_ps();
  }
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dim; i += kSums * kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      const __m256 q = _mm256_loadu_ps(query + i + s * kLanes);
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][s] = Op::step(sums[r][s], q, _mm256_loadu_ps(rows[r] + i + s * kLanes));
      }
    }
  }
  for (; i < dim; i += kLanes) {
    const __m256i mask = tail_mask(dim - i);
    const __m256 q = _mm256_maskload_ps(query + i, mask);
    for (std::size_t r = 0; r < kRows; ++r) {
      sums[r][0] = Op::step(sums[r][0], q, _mm256_maskload_ps(rows[r] + i, mask));
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) out[r] = reduce(sums[r]);
}

template <class Op>
float pair(const float* a, const float* b, std::size_t dim) noexcept {
  float out;
  accumulate<Op, 1>(a, &b, dim, &out);
  return out;
}

template <class Op>
void x4(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  accumulate<Op, 2>(query, rows, dim, out);
  accumulate<Op, 2>(query, rows + 2, dim, out + 2);
}

template <class Op>
void block(const float* query, const float* rows, std::size_t n, std::size_t dim, float* out) noexcept {
  std::size_t r = 0;
  for (; r + 2 <= n; r += 2) {
    const float* const two[2] = {rows + r * dim, rows + (r + 1) * dim};
    accumulate<Op, 2>(query, two, dim, out + r);
  }
  for (; r < n; ++r) out[r] = pair<Op>(query, rows + r * dim, dim);
}

}  // namespace

extern const DistanceKernelsF32 kDistanceF32{
    pair<L2Squared>, x4<L2Squared>, block<L2Squared>, pair<InnerProduct>, x4<InnerProduct>, block<InnerProduct>,
};

}  // namespace vdb::avx2
