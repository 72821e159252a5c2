#include "index/graph/packed_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "codec/rounding.h"

namespace vdb {
namespace {

// Partial sums, so that the compiler can use its registers; padded dimensions are a multiple.
constexpr std::size_t kLanes = 16;

// Where the estimate has overflowed, the neighbour counts as infinitely far.
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Of a residual o and its signs x.
struct Sums {
  double norm_squared;
  double magnitudes;    // sum of |o_i|
  double sign_centred;  // <x, node - centre>
  double node;          // <o, node>
};

Sums sums_of(const float* residual, const float* centred, const float* node, std::size_t n) noexcept {
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
  Sums sums{0, 0, 0, 0};
  for (std::size_t j = 0; j < kLanes; ++j) {
    sums.norm_squared += double{squares[j]};
    sums.magnitudes += double{magnitudes[j]};
    sums.sign_centred += double{signed_centred[j]};
    sums.node += double{products[j]};
  }
  return sums;
}

}  // namespace

void rotate_row(const VectorView& view, Slot slot, const Rotation& rotation, float* out) noexcept {
  read_row(view, slot, out);
  if (view.metric == Metric::kCosine) {
    const float inverse = std::isfinite(view.inverse_norms[slot]) ? view.inverse_norms[slot] : 0.0F;
    for (std::size_t d = 0; d < view.dim; ++d) out[d] *= inverse;
  }
  rotation.apply(out, out);
}

PackedEncoder::PackedEncoder(const VectorView& view, const Rotation& rotation, std::span<const float> centre,
                             const PackedLayout& layout)
    : view_(view),
      rotation_(rotation),
      centre_(centre),
      layout_(layout),
      node_(layout.padded_dim),
      centred_(layout.padded_dim),
      residual_(layout.padded_dim) {}

void PackedEncoder::encode(Slot node, std::span<const Slot> neighbors, std::uint8_t* block) {
  constexpr std::size_t kGroup = PackedLayout::kGroup;
  VDB_ASSERT(neighbors.size() <= layout_.groups * kGroup);
  rotate_row(view_, node, rotation_, node_.data());
  for (std::size_t i = 0; i < layout_.padded_dim; ++i) centred_[i] = node_[i] - centre_[i];
  for (std::size_t g = 0; g < layout_.groups; ++g) {
    std::uint8_t* const codes = layout_.codes(block, g);
    float* const factors = layout_.factors(block, g);
    Slot* const slots = layout_.slots(block, g);
    std::fill_n(codes, layout_.code_bytes(), std::uint8_t{0});
    for (std::size_t i = 0; i < kGroup; ++i) {
      const std::size_t at = g * kGroup + i;
      const bool present = at < neighbors.size();
      slots[i] = present ? neighbors[at] : kAbsentSlot;
      const Factors found = present ? encode_neighbor(neighbors[at], codes + i) : Factors{kInfinity, 0};
      factors[i] = found.add;
      factors[kGroup + i] = found.multiply;
    }
  }
}

PackedEncoder::Factors PackedEncoder::encode_neighbor(Slot neighbor, std::uint8_t* codes) {
  rotate_row(view_, neighbor, rotation_, residual_.data());
  for (std::size_t i = 0; i < layout_.padded_dim; ++i) residual_[i] -= node_[i];
  for (std::size_t b = 0; b < layout_.padded_dim / 8; ++b) {
    unsigned byte = 0;
    for (std::size_t i = 0; i < 8; ++i) byte |= (residual_[8 * b + i] >= 0 ? 1U : 0U) << i;
    codes[b * PackedLayout::kGroup] = static_cast<std::uint8_t>(byte);
  }
  const Sums sums = sums_of(residual_.data(), centred_.data(), node_.data(), layout_.padded_dim);
  const double scale = sums.magnitudes > 0 ? sums.norm_squared / sums.magnitudes : 0.0;
  Factors factors{};
  if (view_.metric == Metric::kL2) {  // |q - v|^2 = |q - p|^2 + |o|^2 - 2 <o, q - p>
    factors = {to_float(sums.norm_squared + 2 * scale * sums.sign_centred), to_float(-2 * scale)};
  } else {  // -<q, v> = -<q, p> - <o, p> - <o, q - p>
    factors = {to_float(scale * sums.sign_centred - sums.node), to_float(-scale)};
  }
  const bool finite = std::isfinite(factors.add) && std::isfinite(factors.multiply);
  return finite ? factors : Factors{kInfinity, 0};
}

}  // namespace vdb
