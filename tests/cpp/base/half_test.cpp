#include "base/half.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <initializer_list>
#include <limits>

namespace vdb {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_CASE("a float16 is its sign, exponent and mantissa by the book") {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const std::uint32_t exponent = bits >> 10 & 31U;
    const auto mantissa = static_cast<float>(bits & 1023U);
    const float value = from_float16(static_cast<std::uint16_t>(bits));
    if (std::signbit(value) != (bits >> 15 == 1)) FAIL("sign of " << bits);
    const float magnitude = std::abs(value);
    if (exponent == 31) {
      if (mantissa == 0 ? magnitude != kInfinity : !std::isnan(magnitude)) FAIL("value of " << bits);
    } else {
      const float expected =
          exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, static_cast<int>(exponent) - 25);
      if (magnitude != expected) FAIL("value of " << bits);
    }
  }
}

TEST_CASE("every bfloat16 survives the way to float32 and back") {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const float value = from_bfloat16(static_cast<std::uint16_t>(bits));
    const std::uint16_t back = to_bfloat16(value);
    if (std::isnan(value) ? !std::isnan(from_bfloat16(back)) : back != bits) FAIL("value of " << bits);
  }
}

TEST_CASE("a float32 becomes the nearest bfloat16, of two equally near the even one") {
  const float step = 0x1p-7F;  // between bfloat16 values from 1 to 2
  CHECK(from_bfloat16(to_bfloat16(1 + 0.49F * step)) == 1);
  CHECK(from_bfloat16(to_bfloat16(1 + 0.51F * step)) == 1 + step);
  CHECK(from_bfloat16(to_bfloat16(1 + 0.5F * step)) == 1);
  CHECK(from_bfloat16(to_bfloat16(1 + 1.5F * step)) == 1 + 2 * step);
  CHECK(from_bfloat16(to_bfloat16(-1 - 1.5F * step)) == -1 - 2 * step);
}

TEST_CASE("what bfloat16 cannot hold becomes infinite, zero keeps its sign and no NaN becomes a number") {
  CHECK(from_bfloat16(to_bfloat16(std::numeric_limits<float>::max())) == kInfinity);
  CHECK(from_bfloat16(to_bfloat16(-kInfinity)) == -kInfinity);
  CHECK(std::signbit(from_bfloat16(to_bfloat16(-0.0F))));
  for (const std::uint32_t bits : {0x7f800001U, 0x7fffffffU, 0xff800001U, 0xffffffffU}) {
    CHECK(std::isnan(from_bfloat16(to_bfloat16(std::bit_cast<float>(bits)))));
  }
}

}  // namespace
}  // namespace vdb
