// Bitmaps in 512-bit registers. Counting is one instruction here (VPOPCNTDQ).
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512_vnni {
namespace {

#include "simd/bitset/compress_list.h"
#include "simd/bitset/driver.h"
#include "simd/bitset/gather_bits.h"

struct Simd {
  using Register = __m512i;
  static constexpr std::size_t kWords = 8;

  static __m512i zero() noexcept { return _mm512_setzero_si512(); }
  static __m512i load(const std::uint64_t* p) noexcept { return _mm512_loadu_si512(p); }
  static void store(std::uint64_t* p, __m512i x) noexcept { _mm512_storeu_si512(p, x); }
  static __m512i bit_and(__m512i a, __m512i b) noexcept { return _mm512_and_si512(a, b); }
  static __m512i bit_or(__m512i a, __m512i b) noexcept { return _mm512_or_si512(a, b); }
  static __m512i bit_andnot(__m512i a, __m512i b) noexcept { return _mm512_andnot_si512(b, a); }

  static __m512i count(__m512i sums, __m512i x) noexcept { return _mm512_add_epi64(sums, _mm512_popcnt_epi64(x)); }

  static std::size_t reduce(__m512i sums) noexcept { return static_cast<std::size_t>(_mm512_reduce_add_epi64(sums)); }

  static unsigned occupied(__m512i x) noexcept { return _mm512_test_epi64_mask(x, x); }

  static std::uint32_t* list_word(std::uint64_t bits, std::uint32_t first, std::uint32_t* out) noexcept {
    return compress_list(bits, first, out);
  }
  static std::uint32_t look_up(const std::uint64_t* words, const std::uint32_t* values, std::uint32_t limit) noexcept {
    return gather_bits(words, values, limit);
  }
};

}  // namespace

extern const BitsetKernels kBitset = table<Simd>();

}  // namespace vdb::avx512_vnni
