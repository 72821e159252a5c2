// The values of a query rounded to evenly spaced levels, for products with codes in integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace vdb {

// A grid of steps: a value is offset + step * level up to half a step, for levels of 0 to top.
struct QueryGrid {
  QueryGrid(double its_offset, double its_step, float its_top) noexcept
      : offset(static_cast<float>(its_offset)), step(its_step), top(its_top) {
    // Steps too small to be inverted are none: what they would add vanishes in float32.
    const double exact = 1 / step;
    inverse = exact <= double{std::numeric_limits<float>::max()} ? static_cast<float>(exact) : 0.0F;
  }

  float offset;
  double step;
  float inverse;
  float top;
};

// What quantisation makes of a query beside its levels.
struct QuantisedQuery {
  std::int64_t sum;  // of the levels
  double lost;       // squared length of what they lose
};

// A multiple of 16 values to as many levels.
QuantisedQuery quantise(std::span<const float> values, const QueryGrid& grid, std::uint8_t* levels) noexcept;

}  // namespace vdb
