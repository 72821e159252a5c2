#include "codec/residual.h"

#include <cmath>

#include "codec/rounding.h"

namespace vdb {
namespace {

// Partial sums, so that the compiler can use its registers; padded dimensions are a multiple.
constexpr std::size_t kLanes = 16;

}  // namespace

ResidualFactors residual_factors(const ResidualSums& sums, bool l2) noexcept {
  const double scale = sums.code > 0 ? sums.norm_squared / sums.code : 0.0;
  if (l2) {  // |q - v|^2 = |q - p|^2 + |o|^2 - 2 <o, q - p>
    return {to_float(sums.norm_squared + 2 * scale * sums.centred), to_float(-2 * scale)};
  }
  // -<q, v> = -<q, p> - <o, p> - <o, q - p>
  return {to_float(scale * sums.centred - sums.node), to_float(-scale)};
}

ResidualSums sign_sums(const float* residual, const float* centred, const float* node, std::size_t n) noexcept {
  float squares[kLanes] = {};
  float magnitudes[kLanes] = {};
  float signed_centred[kLanes] = {};
  float products[kLanes] = {};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float value = residual[i + j];
      squares[j] += value * value;
      magnitudes[j] += std::abs(value);
      signed_centred[j] += value >= 0 ? centred[i + j] : -centred[i + j];
      products[j] += value * node[i + j];
    }
  }
  ResidualSums sums{0, 0, 0, 0};
  for (std::size_t j = 0; j < kLanes; ++j) {
    sums.norm_squared += double{squares[j]};
    sums.code += double{magnitudes[j]};
    sums.centred += double{signed_centred[j]};
    sums.node += double{products[j]};
  }
  return sums;
}

void encode_signs(const float* residual, std::size_t n, std::size_t stride, std::uint8_t* codes) noexcept {
  for (std::size_t b = 0; b < n / 8; ++b) {
    unsigned byte = 0;
    for (std::size_t i = 0; i < 8; ++i) byte |= (residual[8 * b + i] >= 0 ? 1U : 0U) << i;
    codes[b * stride] = static_cast<std::uint8_t>(byte);
  }
}

}  // namespace vdb
