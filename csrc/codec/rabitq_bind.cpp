#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>

#include "codec/query_grid.h"
#include "codec/rabitq.h"
#include "core/code_packing.h"

namespace vdb {
namespace {

constexpr float kQueryLevels = 127.0F;  // of the query's values against longer codes, on either side of zero

// Partial results side by side, so that the compiler can use its registers; kCodeBlock is a multiple of it.
constexpr std::size_t kLanes = 16;

}  // namespace

Rabitq::Query Rabitq::bind(const float* query) const {
  Query bound(*this);
  bound.bind(query);
  return bound;
}

void Rabitq::Query::bind(const float* query) noexcept {
  const Rabitq& codec = *signs_.codec_;
  float* const rotated = rotated_.data();
  codec.rotate(query, rotated);
  const float norm = std::sqrt(kernels().distance_f32.inner_product.pair(rotated, rotated, codec.padded()));
  signs_.bind_centroids(query, rotated_.span(), norm);
  const Range range = range_of(rotated_.span());
  signs_.bind_planes(rotated_.span(), range, norm);
  if (!codec.signs_only()) bind_values(range, norm);
}

Rabitq::Range Rabitq::range_of(std::span<const float> values) noexcept {
  float least[kLanes];
  float greatest[kLanes];
  for (std::size_t j = 0; j < kLanes; ++j) least[j] = greatest[j] = values[j];
  for (std::size_t i = kLanes; i < values.size(); i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float value = values[i + j];
      least[j] = value < least[j] ? value : least[j];
      greatest[j] = value > greatest[j] ? value : greatest[j];
    }
  }
  return {*std::min_element(least, least + kLanes), *std::max_element(greatest, greatest + kLanes)};
}

Rabitq::SignQuery::SignQuery(const Rabitq& codec)
    : codec_(&codec),
      kernels_(kernels().bit_code),
      planes_(codec.params_.query_bits * (codec.padded() / kCodeBlock), 0),
      levels_(codec.padded(), 0),
      centroids_(std::bit_ceil(codec.n_centroids())),
      centroid_mask_(centroids_.size() - 1),
      products_(codec.n_centroids(), 0),
      centroid_adds_(std::max(centroids_.size(), BitCodeKernels::DistanceQuery::kRoom), 0) {}

void Rabitq::SignQuery::bind_centroids(const float* query, std::span<const float> rotated, float norm) noexcept {
  const Rabitq& codec = *codec_;
  const std::size_t n = codec.n_centroids();
  const DistanceKernels& distances = kernels().distance_f32;
  const auto& form = codec.l2() ? distances.l2_squared : distances.inner_product;
  form.block(rotated.data(), codec.centroids_.data(), n, rotated.size(), products_.data());
  const float with_mean = codec.l2() ? 0.0F : distances.inner_product.pair(query, codec.mean_.data(), codec.dim());
  for (std::size_t c = 0; c < n; ++c) {
    const float centroid = codec.centroid_norms_[c];
    const float product = products_[c];
    if (codec.l2()) {
      centroids_[c] = {product, std::sqrt(product), kFloatRounding * (product + centroid * centroid)};
    } else {
      // The distance only widens the error, so what cancels here costs nothing.
      const float squared = std::max(norm * norm + centroid * centroid - 2 * product, 0.0F);
      const float reach = norm + codec.mean_norm_;
      centroids_[c] = {-(with_mean + product), std::sqrt(squared),
                       kFloatRounding * (centroid + codec.mean_norm_) * reach};
    }
  }
  std::fill(centroids_.begin() + static_cast<std::ptrdiff_t>(n), centroids_.end(), centroids_[0]);
  for (std::size_t c = 0; c < centroids_.size(); ++c) centroid_adds_[c] = centroids_[c].add;
}

// The error of a product with a code of signs, from the squared length `lost` to quantisation. A finer code of the same
// row is at most as long for each unit of its residual.
double Rabitq::SignQuery::error_of(double lost, float norm) const noexcept {
  const double code_norm = 0.5 * std::sqrt(static_cast<double>(codec_->padded()));
  const double rounding = double{kFloatRounding} * double{norm};
  return code_norm * (std::sqrt(lost) * codec_->spread() * double{codec_->params_.epsilon0} + rounding);
}

void Rabitq::SignQuery::bind_planes(std::span<const float> rotated, const Range& range, float norm) noexcept {
  const std::size_t bits = codec_->params_.query_bits;
  const auto top = static_cast<float>((1U << bits) - 1U);
  const QueryGrid grid(double{range.least}, (double{range.greatest} - double{range.least}) / double{top}, top);
  const QuantisedQuery quantised = quantise(rotated, grid, levels_.data());
  kernels_.cut(levels_.data(), bits, rotated.size() / kCodeBlock, planes_.data());
  const double sum =
      static_cast<double>(rotated.size()) * double{grid.offset} + grid.step * static_cast<double>(quantised.sum);
  quantisation_ = {static_cast<float>(grid.step), grid.offset, static_cast<float>(-0.5 * sum),
                   static_cast<float>(error_of(quantised.lost, norm))};
  deviation_ = deviation_of(quantised.lost);
}

// The residual of a row and its signs have a cosine of sqrt(2 / pi) where coordinates are Gaussian; what lies beside it
// meets the query in a random direction.
float Rabitq::SignQuery::deviation_of(double lost) const noexcept {
  const double sine_squared = 1 - 2 / std::numbers::pi;
  const auto nearer = [](const CentroidTerms& a, const CentroidTerms& b) { return a.distance < b.distance; };
  const double distance = double{std::min_element(centroids_.begin(), centroids_.end(), nearer)->distance};
  const double code_norm = 0.5 * std::sqrt(static_cast<double>(codec_->padded()));
  return static_cast<float>(code_norm * codec_->spread() * std::sqrt(sine_squared * distance * distance + lost));
}

void Rabitq::Query::bind_values(const Range& range, float norm) noexcept {
  const double greatest = std::max(std::abs(double{range.least}), std::abs(double{range.greatest}));
  const QueryGrid grid(-greatest, greatest / double{kQueryLevels}, 2 * kQueryLevels);
  std::uint8_t* const levels = signs_.levels_.data();  // the planes are cut
  const QuantisedQuery quantised = quantise(rotated_.span(), grid, levels);
  constexpr auto kZero = static_cast<int>(kQueryLevels);
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<std::int8_t>(levels[i] - kZero);
  const std::int64_t values = quantised.sum - kZero * static_cast<std::int64_t>(values_.size());
  const double middle = (std::exp2(static_cast<double>(signs_.codec_->params_.bits)) - 1) / 2;
  const double sum = grid.step * static_cast<double>(values);
  quantisation_ = {static_cast<float>(grid.step), 0, static_cast<float>(-middle * sum),
                   static_cast<float>(signs_.error_of(quantised.lost, norm))};
}

}  // namespace vdb
