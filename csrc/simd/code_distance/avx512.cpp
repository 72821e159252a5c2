// Products of packed codes without VNNI: vpmaddubsw where a pair of products fits 16 bits, vpmaddwd on the even and the
// odd bytes where it does not; and of bit planes with a table of 16 counts.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512 {
namespace {

#include "simd/code_distance/avx512_registers.h"
#include "simd/code_distance/bit_driver.h"
#include "simd/code_distance/driver.h"

// Codes of up to 4 bits: two products are at most 2 * 15 * 128.
template <unsigned kCodeBits>
struct Simd {
  using Register = Lanes;
  using Query = __m512i;
  static constexpr std::size_t kBits = kCodeBits;
  static constexpr std::size_t kParts = 1;
  static constexpr std::size_t kQueries = 4;

  static Lanes zero() noexcept { return Lanes{}; }
  static Lanes start(const std::int8_t*, std::size_t) noexcept { return zero(); }
  static __m512i load_query(const std::int8_t* query) noexcept { return _mm512_loadu_si512(query); }
  static __m512i unpack(const std::uint8_t* code, std::size_t) noexcept { return unpack_block<kBits>(code); }
  static Lanes step(Lanes sum, __m512i codes, __m512i query) noexcept {
    const __m512i pairs = _mm512_maddubs_epi16(codes, query);
    return sum + reinterpret_cast<Lanes>(_mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
  static Lanes add(Lanes a, Lanes b) noexcept { return a + b; }
  static void reduce(const Lanes* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

// The even and the odd bytes of a register, as 16-bit lanes.
struct Halves {
  __m512i even;
  __m512i odd;
};

template <>
struct Simd<8> {
  using Register = Lanes;
  using Query = Halves;
  static constexpr std::size_t kBits = 8;
  static constexpr std::size_t kParts = 1;
  static constexpr std::size_t kQueries = 4;

  static Lanes zero() noexcept { return Lanes{}; }
  static Lanes start(const std::int8_t*, std::size_t) noexcept { return zero(); }
  static Halves load_query(const std::int8_t* query) noexcept {
    const __m512i bytes = _mm512_loadu_si512(query);
    return {_mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8), _mm512_srai_epi16(bytes, 8)};
  }
  static Halves unpack(const std::uint8_t* code, std::size_t) noexcept {
    const __m512i bytes = _mm512_loadu_si512(code);
    return {_mm512_and_si512(bytes, _mm512_set1_epi16(0xFF)), _mm512_srli_epi16(bytes, 8)};
  }
  static Lanes step(Lanes sum, const Halves& codes, const Halves& query) noexcept {
    const __m512i even = _mm512_madd_epi16(codes.even, query.even);
    const __m512i odd = _mm512_madd_epi16(codes.odd, query.odd);
    return sum + (reinterpret_cast<Lanes>(even) + reinterpret_cast<Lanes>(odd));
  }
  static Lanes add(Lanes a, Lanes b) noexcept { return a + b; }
  static void reduce(const Lanes* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

struct Bits : BitRegisters {
  static __m512i count(__m512i code, __m512i plane) noexcept {
    const __m512i counts = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i both = _mm512_and_si512(code, plane);
    const __m512i low = _mm512_shuffle_epi8(counts, _mm512_and_si512(both, nibble));
    const __m512i high = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi64(both, 4), nibble));
    return _mm512_add_epi8(low, high);
  }
  static __m512i gather(__m512i counts, __m512i count, std::size_t) noexcept {
    return _mm512_add_epi8(_mm512_add_epi8(counts, counts), count);
  }
  static __m512i widen(__m512i sum, __m512i counts) noexcept {
    return _mm512_add_epi64(sum, _mm512_sad_epu8(counts, zero()));
  }
};

}  // namespace

extern const CodeKernels kCode = table<Simd>();
extern const BitCodeKernels kBitCode = bit_table<Bits>(bit_distances<Bits>, cut_registers);

}  // namespace vdb::avx512
