// float32 distances in 512-bit registers: four accumulators a row hide the latency of FMA, a masked load takes the
// tail. Error: about dim/64 rounding steps of float32.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512 {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kSums = 4;

struct L2Squared {
  static __m512 step(__m512 sum, __m512 a, __m512 b) noexcept {
    const __m512 difference = _mm512_sub_ps(a, b);
    return _mm512_fmadd_ps(difference, difference, sum);
  }
};

struct InnerProduct {
  static __m512 step(__m512 sum, __m512 a, __m512 b) noexcept { return _mm512_fmadd_ps(a, b, sum); }
};

float reduce(const __m512* sums) noexcept {
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

// The one loop of this file: kRows rows against one query.
template <class Op, std::size_t kRows>
void accumulate(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  __m512 sums[kRows][kSums];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t s = 0; s < kSums; ++s) sums[r][s] = _mm512_setzero_ps();
  }
  std::size_t i = 0;
  for (; i + kSums * kLanes <= dim; i += kSums * kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      const __m512 q = _mm512_loadu_ps(query + i + s * kLanes);
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][s] = Op::step(sums[r][s], q, _mm512_loadu_ps(rows[r] + i + s * kLanes));
      }
    }
  }
  for (; i < dim; i += kLanes) {
    const std::size_t left = dim - i;
    const auto mask = static_cast<__mmask16>(left >= kLanes ? 0xffffU : (1U << left) - 1U);
    const __m512 q = _mm512_maskz_loadu_ps(mask, query + i);
    for (std::size_t r = 0; r < kRows; ++r) {
      sums[r][0] = Op::step(sums[r][0], q, _mm512_maskz_loadu_ps(mask, rows[r] + i));
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
  accumulate<Op, 4>(query, rows, dim, out);
}

template <class Op>
void block(const float* query, const float* rows, std::size_t n, std::size_t dim, float* out) noexcept {
  std::size_t r = 0;
  for (; r + 4 <= n; r += 4) {
    const float* const four[4] = {rows + r * dim, rows + (r + 1) * dim, rows + (r + 2) * dim, rows + (r + 3) * dim};
    accumulate<Op, 4>(query, four, dim, out + r);
  }
  for (; r < n; ++r) out[r] = pair<Op>(query, rows + r * dim, dim);
}

}  // namespace

extern const DistanceKernelsF32 kDistanceF32{
    pair<L2Squared>, x4<L2Squared>, block<L2Squared>, pair<InnerProduct>, x4<InnerProduct>, block<InnerProduct>,
};

}  // namespace vdb::avx512
