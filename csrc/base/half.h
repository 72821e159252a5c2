// The 16-bit floats a vector can be stored in, converted one at a time. Baseline code only: kernel files above the
// baseline use the instructions of their level.
#pragma once

#include <bit>
#include <cstdint>

namespace vdb {

// A bfloat16 is the upper half of a float32.
inline float from_bfloat16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

// To the nearest, ties to even; what is too large becomes infinite, a NaN stays one.
inline std::uint16_t to_bfloat16(float value) noexcept {
  constexpr std::uint32_t kQuiet = 0x0040U;  // keeps a NaN whose upper half is all zeros from becoming infinite
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return static_cast<std::uint16_t>(bits >> 16 | kQuiet);
  const std::uint32_t half = 0x7fffU + (bits >> 16 & 1U);
  return static_cast<std::uint16_t>((bits + half) >> 16);
}

// IEEE 754 binary16: 1 sign, 5 exponent and 10 mantissa bits.
inline float from_float16(std::uint16_t bits) noexcept {
  constexpr std::uint32_t kMagnitude = 0x7fffU;
  constexpr std::uint32_t kInfinity = 0x7c00U;
  constexpr std::uint32_t kFloatInfinity = 0x7f800000U;
  constexpr float kRebias = 0x1p112F;  // 127 - 15, the difference of the exponent biases; makes subnormals normal too
  const std::uint32_t magnitude = bits & kMagnitude;
  auto wide = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * kRebias);
  if (magnitude >= kInfinity) wide |= kFloatInfinity;
  return std::bit_cast<float>(wide | static_cast<std::uint32_t>(bits & ~kMagnitude) << 16);
}

}  // namespace vdb
