// Products of packed codes with sdot, 16 dimensions an instruction. The bit planes gain nothing here.
#include <arm_neon.h>

#include "simd/tables.h"

namespace vdb::neon_dotprod {
namespace {

#include "simd/code_distance/driver.h"
#include "simd/code_distance/neon_registers.h"

template <unsigned kCodeBits>
struct Simd {
  using Register = int32x4_t;
  using Query = int8x16_t;
  static constexpr std::size_t kBits = kCodeBits;
  static constexpr std::size_t kParts = 4;
  static constexpr std::size_t kQueries = 3;  // with more, GCC 12 moves loads up until it spills

  static int32x4_t zero() noexcept { return vdupq_n_s32(0); }
  // The codes of 8 bits lack kOffset times the sum of the query.
  static int32x4_t start(const std::int8_t* query, std::size_t dim) noexcept {
    int32x4_t sum = zero();
    if constexpr (kBits == 8) {
      for (std::size_t i = 0; i < dim; i += sizeof(Query)) sum = vdotq_s32(sum, vdupq_n_s8(1), vld1q_s8(query + i));
    }
    return vshlq_n_s32(sum, kOffsetShift);
  }
  static int8x16_t load_query(const std::int8_t* query) noexcept { return vld1q_s8(query); }
  static int8x16_t unpack(const std::uint8_t* code, std::size_t quarter) noexcept {
    return unpack_quarter<kBits>(code, quarter);
  }
  static int32x4_t step(int32x4_t sum, int8x16_t codes, int8x16_t query) noexcept {
    return vdotq_s32(sum, codes, query);
  }
  static int32x4_t add(int32x4_t a, int32x4_t b) noexcept { return vaddq_s32(a, b); }
  static void reduce(const int32x4_t* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

}  // namespace

extern const CodeKernels kCode = table<Simd>();

}  // namespace vdb::neon_dotprod
