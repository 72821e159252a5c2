// Products of packed codes with vpdpbusd, 64 dimensions an instruction, and of bit planes with vpopcntq.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512_vnni {
namespace {

#include "simd/code_distance/avx512_registers.h"
#include "simd/code_distance/bit_driver.h"
#include "simd/code_distance/driver.h"

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
    return reinterpret_cast<Lanes>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), codes, query));
  }
  static Lanes add(Lanes a, Lanes b) noexcept { return a + b; }
  static void reduce(const Lanes* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

struct Bits : BitRegisters {
  static __m512i count(__m512i code, __m512i plane) noexcept {
    return _mm512_popcnt_epi64(_mm512_and_si512(code, plane));
  }
  static __m512i gather(__m512i counts, __m512i count, std::size_t p) noexcept {
    if (p == 0) return _mm512_add_epi64(counts, count);
    return _mm512_dpbusd_epi32(counts, count, _mm512_set1_epi8(static_cast<char>(1U << p)));
  }
  static __m512i widen(__m512i sum, __m512i counts) noexcept { return _mm512_add_epi64(sum, counts); }
};

}  // namespace

extern const CodeKernels kCode = table<Simd>();
extern const BitCodeKernels kBitCode = bit_table<Bits>();

}  // namespace vdb::avx512_vnni
