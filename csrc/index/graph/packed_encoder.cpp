#include "index/graph/packed_encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace vdb {
namespace {

// Where the estimate has overflowed, the neighbour counts as infinitely far.
constexpr float kInfinity = std::numeric_limits<float>::infinity();

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
      const ResidualFactors found = present ? encode_neighbor(neighbors[at], codes + i) : ResidualFactors{kInfinity, 0};
      factors[i] = found.add;
      factors[kGroup + i] = found.multiply;
    }
  }
}

ResidualFactors PackedEncoder::encode_neighbor(Slot neighbor, std::uint8_t* codes) {
  rotate_row(view_, neighbor, rotation_, residual_.data());
  for (std::size_t i = 0; i < layout_.padded_dim; ++i) residual_[i] -= node_[i];
  encode_signs(residual_.data(), layout_.padded_dim, PackedLayout::kGroup, codes);
  const ResidualFactors factors = residual_factors(
      sign_sums(residual_.data(), centred_.data(), node_.data(), layout_.padded_dim), view_.metric == Metric::kL2);
  const bool finite = std::isfinite(factors.add) && std::isfinite(factors.multiply);
  return finite ? factors : ResidualFactors{kInfinity, 0};
}

}  // namespace vdb
