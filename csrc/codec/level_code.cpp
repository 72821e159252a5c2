#include "codec/level_code.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/code_packing.h"

namespace vdb {
namespace {

// The search for the scale at which rounding to the grid keeps the direction best, where 1 maps the greatest coordinate
// to the end of the grid. Few bits gain from cutting off the greatest coordinates, many bits do not: for Gaussian ones
// the best scale is 0.92 to 1.1 at 8 bits, up to 2.4 at 2. Coarse steps over all of it, then fine ones around the best;
// what is lost stays within a hundredth of the least that can be.
constexpr float kLeastScale = 0.92F;
constexpr float kCoarseStep = 1.06F;
constexpr int kCoarseSteps = 17;
constexpr float kFineStep = 1.01F;
constexpr int kFineSteps = 12;   // two coarse ones
constexpr int kRefinements = 2;  // more seldom change a coordinate

// Of a code y of magnitudes a: <y, a> and |y|^2.
struct Fit {
  float product;
  float norm_squared;

  float cosine_squared() const noexcept { return product * product / norm_squared; }  // times |a|^2
};

// A magnitude's place in the grid, whose values are half above it.
float level_of(float magnitude, float scale, float top) noexcept {
  return std::min(static_cast<float>(static_cast<int>(magnitude * scale)), top);
}

// `n` is a multiple of kCodeBlock.
Fit fit(const float* magnitudes, std::size_t n, float scale, float top) noexcept {
  constexpr std::size_t kLanes = 16;  // partial sums, so that the compiler can use its registers
  float products[kLanes] = {};
  float squares[kLanes] = {};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float value = level_of(magnitudes[i + j], scale, top) + 0.5F;
      products[j] += value * magnitudes[i + j];
      squares[j] += value * value;
    }
  }
  Fit sum{0, 0};
  for (std::size_t j = 0; j < kLanes; ++j) {
    sum.product += products[j];
    sum.norm_squared += squares[j];
  }
  return sum;
}

// The scale of the best code found. A code is the rounding of its own least-squares scale |y|^2 / <y, a> or can be
// improved by it: the last step.
float best_scale(const std::vector<float>& magnitudes, float top) noexcept {
  float best = kLeastScale * (top + 1);
  Fit best_fit = fit(magnitudes.data(), magnitudes.size(), best, top);
  const auto consider = [&](float scale) {
    const Fit next = fit(magnitudes.data(), magnitudes.size(), scale, top);
    if (!(next.cosine_squared() > best_fit.cosine_squared())) return false;
    best = scale;
    best_fit = next;
    return true;
  };
  float scale = best;
  for (int i = 0; i < kCoarseSteps; ++i) consider(scale *= kCoarseStep);
  scale = best / kCoarseStep;
  for (int i = 0; i < kFineSteps; ++i) consider(scale *= kFineStep);
  for (int i = 0; i < kRefinements && consider(best_fit.norm_squared / best_fit.product); ++i) {
  }
  return best;
}

}  // namespace

LevelProducts encode_levels(const LevelInput& input, std::size_t bits, std::uint8_t* values) {
  const auto [residual, other] = input;
  const std::size_t n = residual.size();
  const auto top = static_cast<std::uint8_t>((1U << (bits - 1)) - 1U);
  double greatest = 0;
  for (const float value : residual) greatest = std::max(greatest, std::abs(double{value}));
  std::vector<float> magnitudes(n);
  for (std::size_t i = 0; i < n; ++i) magnitudes[i] = static_cast<float>(std::abs(double{residual[i]}) / greatest);
  const float scale = best_scale(magnitudes, static_cast<float>(top));
  LevelProducts code{0, 0, 0};
  for (std::size_t i = 0; i < n; ++i) {
    const auto level = static_cast<std::uint8_t>(level_of(magnitudes[i], scale, static_cast<float>(top)));
    const bool positive = residual[i] >= 0;
    values[i] = positive ? level : static_cast<std::uint8_t>(top - level);
    const double value = positive ? level + 0.5 : -(level + 0.5);
    code.residual += value * double{residual[i]};
    code.other += value * double{other[i]};
    code.norm_squared += value * value;
  }
  return code;
}

void pack_part(std::span<const std::uint8_t> values, const CodeKernels::Part& part, std::uint8_t* out) {
  std::vector<std::uint8_t> cut(values.size());
  const unsigned mask = (1U << part.bits) - 1U;
  for (std::size_t i = 0; i < values.size(); ++i) {
    cut[i] = static_cast<std::uint8_t>(static_cast<unsigned>(values[i]) >> part.shift & mask);
  }
  pack_codes(cut.data(), cut.size(), part.bits, out);
}

std::size_t level_parts(std::size_t bits, std::size_t padded_dim, std::size_t offset, CodeKernels::Part* parts) {
  auto left = static_cast<unsigned>(bits - 1);
  std::size_t n = 0;
  for (const unsigned part : {4U, 2U, 1U}) {
    if (left < part) continue;
    left -= part;
    parts[n++] = {part, left, offset};
    offset += packed_bytes(padded_dim, part);
  }
  return n;
}

}  // namespace vdb
