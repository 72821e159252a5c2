// Packed neighbours without intrinsics: the reference the other levels are tested against, and the fallback.
#include "base/half.h"
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/packed_scan/driver.h"

struct Simd {
  struct Sums {
    std::uint16_t rows[kRows];
  };

  static Sums zero() noexcept { return {}; }
  static void add(Sums& sums, const std::uint8_t* table, const std::uint8_t* codes) noexcept {
    for (std::size_t pair = 0; pair < kStep / 2; ++pair, table += 2 * kEntries, codes += kRows) {
      for (std::size_t i = 0; i < kRows; ++i) {
        const int both = table[codes[i] & 15] + table[kEntries + (codes[i] >> 4)];
        sums.rows[i] = static_cast<std::uint16_t>(sums.rows[i] + both);
      }
    }
  }
  static float load(const float* factor) noexcept { return *factor; }
  static float load(const std::uint16_t* factor) noexcept { return from_bfloat16(*factor); }
  template <class Factor>
  static std::uint32_t finish(const Sums& sums, const PackedScanKernels::Query& query, const Factor* factors,
                              const PackedScanKernels::Bounds& bounds, float* out) noexcept {
    std::uint32_t nearer = 0;
    for (std::size_t i = 0; i < kRows; ++i) {
      const float product = query.scale * static_cast<float>(sums.rows[i]) + query.base;
      out[i] = bounds.distance + (load(factors + i) + load(factors + kRows + i) * product);
      if (out[i] < bounds.threshold) nearer |= 1U << i;
    }
    return nearer;
  }
};

}  // namespace

extern const PackedScanKernels kPackedScan = table<Simd>();

}  // namespace vdb::scalar
