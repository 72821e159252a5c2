// Products of packed codes in 256-bit registers, 32 dimensions at a time: vpmaddubsw where a pair of products fits 16
// bits, vpmaddwd on the even and the odd bytes where it does not; and of bit planes with a table of 16 counts.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/code_distance/bit_driver.h"
#include "simd/code_distance/driver.h"

__m128i fold(__m256i lanes) noexcept {
  return _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
}

// The sum of the 32-bit lanes of each of four registers: a transposition in which every level adds.
void reduce_lanes(const __m256i* sums, std::int32_t* out) noexcept {
  const __m256i ab = _mm256_add_epi32(_mm256_unpacklo_epi32(sums[0], sums[1]), _mm256_unpackhi_epi32(sums[0], sums[1]));
  const __m256i cd = _mm256_add_epi32(_mm256_unpacklo_epi32(sums[2], sums[3]), _mm256_unpackhi_epi32(sums[2], sums[3]));
  const __m256i all = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), fold(all));
}

// The 32 codes of one half of a block.
template <unsigned kBits>
__m256i unpack_half(const std::uint8_t* code, std::size_t half) noexcept {
  if constexpr (kBits == 4) {
    const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(code));
    return _mm256_and_si256(half == 0 ? both : _mm256_srli_epi64(both, 4), _mm256_set1_epi8(15));
  } else if constexpr (kBits == 2) {
    const __m256i four = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(code)));
    const __m256i shifts = half == 0 ? _mm256_set_epi64x(2, 2, 0, 0) : _mm256_set_epi64x(6, 6, 4, 4);
    return _mm256_and_si256(_mm256_srlv_epi64(four, shifts), _mm256_set1_epi8(3));
  } else {
    std::int32_t word;
    __builtin_memcpy(&word, code + half * sizeof word, sizeof word);
    // Each byte of the word eight times, of which each keeps a bit.
    const __m256i bytes = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(word), bytes);
    return _mm256_min_epu8(_mm256_and_si256(spread, bit), _mm256_set1_epi8(1));
  }
}

// Codes of up to 4 bits: two products are at most 2 * 15 * 128.
template <unsigned kCodeBits>
struct Simd {
  using Register = __m256i;
  using Query = __m256i;
  static constexpr std::size_t kBits = kCodeBits;
  static constexpr std::size_t kParts = 2;
  static constexpr std::size_t kQueries = 2;

  static __m256i zero() noexcept { return _mm256_setzero_si256(); }
  static __m256i start(const std::int8_t*, std::size_t) noexcept { return zero(); }
  static __m256i load_query(const std::int8_t* query) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
  }
  static __m256i unpack(const std::uint8_t* code, std::size_t half) noexcept { return unpack_half<kBits>(code, half); }
  static __m256i step(__m256i sum, __m256i codes, __m256i query) noexcept {
    const __m256i pairs = _mm256_maddubs_epi16(codes, query);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  static __m256i add(__m256i a, __m256i b) noexcept { return _mm256_add_epi32(a, b); }
  static void reduce(const __m256i* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

// The even and the odd bytes of a register, as 16-bit lanes.
struct Halves {
  __m256i even;
  __m256i odd;
};

template <>
struct Simd<8> {
  using Register = __m256i;
  using Query = Halves;
  static constexpr std::size_t kBits = 8;
  static constexpr std::size_t kParts = 2;
  static constexpr std::size_t kQueries = 2;

  static __m256i zero() noexcept { return _mm256_setzero_si256(); }
  static __m256i start(const std::int8_t*, std::size_t) noexcept { return zero(); }
  static Halves load_query(const std::int8_t* query) noexcept {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query));
    return {_mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8), _mm256_srai_epi16(bytes, 8)};
  }
  static Halves unpack(const std::uint8_t* code, std::size_t half) noexcept {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(code + half * sizeof(__m256i)));
    return {_mm256_and_si256(bytes, _mm256_set1_epi16(0xFF)), _mm256_srli_epi16(bytes, 8)};
  }
  static __m256i step(__m256i sum, const Halves& codes, const Halves& query) noexcept {
    const __m256i even = _mm256_madd_epi16(codes.even, query.even);
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, _mm256_madd_epi16(codes.odd, query.odd)));
  }
  static __m256i add(__m256i a, __m256i b) noexcept { return _mm256_add_epi32(a, b); }
  static void reduce(const __m256i* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

alignas(32) constexpr std::int64_t kMask[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

struct Bits {
  using Register = __m256i;
  static constexpr std::size_t kWords = 4;

  static __m256i zero() noexcept { return _mm256_setzero_si256(); }
  static __m256i mask(std::size_t n) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + (n < kWords ? kWords - n : 0)));
  }
  static __m256i load(const std::uint8_t* p, __m256i words) noexcept {
    return _mm256_maskload_epi64(reinterpret_cast<const long long*>(p), words);
  }
  static __m256i count(__m256i code, __m256i plane) noexcept {
    const __m256i counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i both = _mm256_and_si256(code, plane);
    const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(both, nibble));
    const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi64(both, 4), nibble));
    return _mm256_add_epi8(low, high);
  }
  static __m256i gather(__m256i counts, __m256i count, std::size_t) noexcept {
    return _mm256_add_epi8(_mm256_add_epi8(counts, counts), count);
  }
  static __m256i widen(__m256i sum, __m256i counts) noexcept {
    return _mm256_add_epi64(sum, _mm256_sad_epu8(counts, zero()));
  }
  // Two registers of small 64-bit lanes share one, each in its half of the lanes.
  static void reduce(const __m256i* sums, std::uint32_t* out) noexcept {
    const __m256i ac = _mm256_or_si256(sums[0], _mm256_slli_epi64(sums[2], 32));
    const __m256i bd = _mm256_or_si256(sums[1], _mm256_slli_epi64(sums[3], 32));
    const __m256i all = _mm256_add_epi32(_mm256_unpacklo_epi32(ac, bd), _mm256_unpackhi_epi32(ac, bd));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), fold(all));
  }
};

void cut_registers(const std::uint8_t* values, std::size_t bits, std::size_t words, std::uint64_t* planes) noexcept {
  for (std::size_t w = 0; w < words; ++w) {
    const auto* const block = reinterpret_cast<const __m256i*>(values + w * kBlock);
    const __m256i low = _mm256_loadu_si256(block);
    const __m256i high = _mm256_loadu_si256(block + 1);
    for (std::size_t p = 0; p < bits; ++p) {
      const __m128i to_top = _mm_cvtsi32_si128(static_cast<int>(7 - p));
      const auto of_low = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi64(low, to_top)));
      const auto of_high = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_sll_epi64(high, to_top)));
      planes[p * words + w] = std::uint64_t{of_high} << 32 | of_low;
    }
  }
}

}  // namespace

extern const CodeKernels kCode = table<Simd>();
extern const BitCodeKernels kBitCode = bit_table<Bits>(bit_distances<Bits>, cut_registers);

}  // namespace vdb::avx2
