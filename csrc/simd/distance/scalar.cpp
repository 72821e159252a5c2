// float32 distances without intrinsics: the reference the other levels are tested against, and the fallback.
// float32 accumulation in four sums; error about dim/4 rounding steps.
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/distance/driver.h"

struct Simd {
  using Register = float;
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kRows = 1;

  static float zero() noexcept { return 0.0F; }
  static float load(const float* p) noexcept { return *p; }
  static float load_first(const float* p, std::size_t) noexcept { return *p; }  // never called: one lane has no tail
  static float reduce(const float* sums) noexcept { return (sums[0] + sums[1]) + (sums[2] + sums[3]); }
};

struct L2Squared {
  static float step(float sum, float a, float b) noexcept { return sum + (a - b) * (a - b); }
};

struct InnerProduct {
  static float step(float sum, float a, float b) noexcept { return sum + a * b; }
};

}  // namespace

extern const DistanceKernelsF32 kDistanceF32 = table<Simd, L2Squared, InnerProduct>();

}  // namespace vdb::scalar
