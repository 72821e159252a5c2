// Bounds of what float32 loses, for codecs whose intervals are guarantees.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "simd/isa.h"

namespace vdb {

inline constexpr double kFloatUnit = 0x1p-24;  // one rounding to float32, relative

// Not below `value`, as a float; infinite where no finite float is large enough.
inline float rounded_up(double value) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!(value <= double{std::numeric_limits<float>::max()})) return kInfinity;
  const float rounded = static_cast<float>(value);
  return double{rounded} < value ? std::nextafter(rounded, kInfinity) : rounded;
}

// The nearest float; infinite where the magnitude is beyond all floats, NaN where there is none.
inline float to_float(double value) noexcept {
  constexpr double kGreatest = std::numeric_limits<float>::max();
  if (value > kGreatest) return std::numeric_limits<float>::infinity();
  if (value < -kGreatest) return -std::numeric_limits<float>::infinity();
  return static_cast<float>(value);
}

// Values that one register of the active level adds up side by side; the scalar kernels keep four sums.
inline std::size_t kernel_lanes() noexcept {
  switch (active_isa()) {
    case Isa::kAvx2: return 8;
    case Isa::kAvx512:
    case Isa::kAvx512Vnni: return 16;
    case Isa::kScalar:
    case Isa::kNeon:
    case Isa::kNeonDotprod: break;
  }
  return 4;
}

// A float32 kernel of `dim` values is off by at most this share of the sum of its terms' absolute values: one rounding
// for each step of a sum, kReduceSteps to add the sums up and to make a term, and a hundredth for their products.
inline double kernel_error(std::size_t dim) noexcept {
  constexpr double kReduceSteps = 12;
  return 1.01 * (static_cast<double>(dim / kernel_lanes() + 1) + kReduceSteps) * kFloatUnit;
}

// The distances that rows are ranked by are float32 themselves, and a guarantee is about them: off the true ones by at
// most this share of the sum of their terms' absolute values. At every level and for every dtype a sum takes at most
// dim / 4 steps; the others are its reduction, its terms, and the normalisation of two vectors under cosine.
inline double ranking_error(std::size_t dim) noexcept {
  constexpr double kLeastLanes = 4;
  constexpr double kOtherSteps = 32;
  return 1.01 * (static_cast<double>(dim) / kLeastLanes + kOtherSteps) * kFloatUnit;
}

}  // namespace vdb
