// Product quantisation without intrinsics: the reference the other levels are tested against, and the fallback.
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/pq_scan/driver.h"

struct Simd {
  using Register = float;
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kColumnRegisters = 16;  // a loop the compiler can put into registers

  static float zero() noexcept { return 0.0F; }
  static float load(const float* p) noexcept { return *p; }
  static void store(float* p, float r) noexcept { *p = r; }
  static float broadcast(float x) noexcept { return x; }
  static float l2_step(float sum, float a, float b) noexcept { return sum + (a - b) * (a - b); }
  static float product_step(float sum, float a, float b) noexcept { return sum + a * b; }

  struct Best {
    float distance;
    std::uint32_t at;
  };
  static Best none() noexcept { return {__builtin_inff(), 0}; }
  static void offer(Best& best, float distance, std::uint32_t first) noexcept {
    if (distance < best.distance) best = {distance, first};
  }
  static std::uint32_t least(const Best& best, float* distance) noexcept {
    *distance = best.distance;
    return best.at;
  }
};

struct Scan {
  struct Sums {
    std::uint16_t rows[kBlockRows];
  };
  static constexpr std::size_t kBlocks = 1;

  static Sums zero() noexcept { return {}; }
  static const std::uint8_t* tables(const std::uint8_t* p) noexcept { return p; }
  static void add(Sums& sums, const std::uint8_t* tables, const std::uint8_t* codes) noexcept {
    for (std::size_t i = 0; i < kBlockRows; ++i) {
      const int both = tables[codes[i] & 15] + tables[kTable4 + (codes[i] >> 4)];
      sums.rows[i] = static_cast<std::uint16_t>(sums.rows[i] + both);
    }
  }
  static void store(const Sums& sums, std::uint16_t* out) noexcept {
    for (std::size_t i = 0; i < kBlockRows; ++i) out[i] = sums.rows[i];
  }
};

}  // namespace

extern const PqKernels kPq = table<Simd, Scan>();

}  // namespace vdb::scalar
