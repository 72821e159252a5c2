// The steps of a random rotation without intrinsics: the reference the other levels are tested against, bit by bit.
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/rotation/driver.h"

struct Simd {
  using Register = float;
  static constexpr std::size_t kLanes = 1;

  static float load(const float* p) noexcept { return *p; }
  static void store(float* p, float x) noexcept { *p = x; }
  static float add(float a, float b) noexcept { return a + b; }
  static float sub(float a, float b) noexcept { return a - b; }
  static float multiply(float x, float factor) noexcept { return x * factor; }
  // A product with -1 is exact; random signs make a branch a coin toss.
  static float flip(float x, std::uint32_t bits) noexcept { return x * (1.0F - 2.0F * static_cast<float>(bits & 1U)); }
  static float stages(float x) noexcept { return x; }
};

}  // namespace

extern const RotationKernels kRotation = table<Simd>();

}  // namespace vdb::scalar
