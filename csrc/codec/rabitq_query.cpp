#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "codec/rabitq.h"
#include "core/code_packing.h"

namespace vdb {
namespace {

constexpr std::size_t kBlockRows = 64;  // products of a block on the stack
constexpr float kQueryLevels = 127.0F;  // of the query's values against longer codes, on either side of zero
constexpr float kRounding = 0x1p-20F;   // what the rotation's float32 steps lose of a length, rarely more
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

Rabitq::Query Rabitq::bind(const float* query) const {
  std::vector<float> rotated(padded());
  rotate(query, rotated.data());
  const double norm =
      std::sqrt(double{kernels().distance_f32.inner_product.pair(rotated.data(), rotated.data(), padded())});
  Query bound(*this);
  bound.signs_.bind_centroids(query, rotated, norm);
  bound.signs_.bind_planes(rotated, norm);
  if (!signs_only()) bound.bind_values(rotated, norm);
  return bound;
}

Rabitq::SignQuery::SignQuery(const Rabitq& codec)
    : codec_(&codec),
      kernels_(kernels().bit_code),
      planes_(codec.params_.query_bits * (codec.padded() / kCodeBlock), 0),
      centroids_(std::bit_ceil(codec.n_centroids())),
      centroid_mask_(centroids_.size() - 1) {}

void Rabitq::SignQuery::bind_centroids(const float* query, std::span<const float> rotated, double norm) {
  const Rabitq& codec = *codec_;
  const std::size_t n = codec.n_centroids();
  const DistanceKernels& distances = kernels().distance_f32;
  std::vector<float> from(n);
  distances.l2_squared.block(rotated.data(), codec.centroids_.data(), n, rotated.size(), from.data());
  std::vector<float> products(n);
  distances.inner_product.block(rotated.data(), codec.centroids_.data(), n, rotated.size(), products.data());
  const float with_mean = distances.inner_product.pair(query, codec.mean_.data(), codec.dim());
  for (std::size_t c = 0; c < n; ++c) {
    const float centroid = codec.centroid_norms_[c];
    if (codec.l2()) {
      centroids_[c] = {from[c], std::sqrt(from[c]), kRounding * (from[c] + centroid * centroid)};
    } else {
      const float reach = static_cast<float>(norm) + codec.mean_norm_;
      centroids_[c] = {-(with_mean + products[c]), std::sqrt(from[c]),
                       kRounding * (centroid + codec.mean_norm_) * reach};
    }
  }
  std::fill(centroids_.begin() + static_cast<std::ptrdiff_t>(n), centroids_.end(), centroids_[0]);
}

// The error of a product with a code of signs, from the squared length `lost` to quantisation. A finer code of the same
// row is at most as long for each unit of its residual.
double Rabitq::SignQuery::error_of(double lost, double norm) const {
  const double code_norm = 0.5 * std::sqrt(static_cast<double>(codec_->padded()));
  return code_norm * (std::sqrt(lost) * codec_->spread() * double{codec_->params_.epsilon0} + double{kRounding} * norm);
}

void Rabitq::SignQuery::bind_planes(std::span<const float> rotated, double norm) {
  const std::size_t words = rotated.size() / kCodeBlock;
  const std::size_t bits = codec_->params_.query_bits;
  const auto [least, greatest] = std::minmax_element(rotated.begin(), rotated.end());
  const double top = std::exp2(static_cast<double>(bits)) - 1;
  const double offset = double{*least};
  const double step = (double{*greatest} - offset) / top;
  const double inverse = step > 0 ? 1 / step : 0.0;
  double lost = 0;
  double sum = 0;
  for (std::size_t i = 0; i < rotated.size(); ++i) {
    const double level = (double{rotated[i]} - offset) * inverse;
    // Written so that a NaN, which overflow can make, becomes level 0.
    const double value = level > 0 ? std::min(std::nearbyint(level), top) : 0.0;
    const double kept = offset + step * value;
    lost += (double{rotated[i]} - kept) * (double{rotated[i]} - kept);
    sum += kept;
    const auto code = static_cast<std::uint64_t>(value);
    for (std::size_t j = 0; j < bits; ++j) {
      planes_[j * words + i / kCodeBlock] |= (code >> j & 1U) << (i % kCodeBlock);
    }
  }
  quantisation_ = {static_cast<float>(step), static_cast<float>(offset), static_cast<float>(-0.5 * sum),
                   static_cast<float>(error_of(lost, norm))};
}

Estimate Rabitq::SignQuery::combine(const Factors& row, std::uint16_t centroid, float product,
                                    float error) const noexcept {
  const CentroidTerms& terms = centroids_[centroid & centroid_mask_];
  const float distance = (row.add + terms.add) + row.rescale * product;
  if (!(std::abs(distance) <= kMax)) return {kMax, kInfinity};
  const float code_error = row.error * terms.distance;
  // The code and the quantised query err independently of each other. Squares of tiny errors vanish; the greater of the
  // two does not.
  const float both = std::max({std::sqrt(code_error * code_error + error * error), code_error, error});
  const float width = both + (kRounding * std::abs(row.add) + terms.rounding);
  return {distance, width <= kMax ? width : kInfinity};
}

Estimate Rabitq::SignQuery::finish(const SignFactors& row, std::uint32_t product) const noexcept {
  const Quantisation& of = quantisation_;
  // At most 2^24, so signed: the conversion is one instruction.
  const float exact = of.scale * static_cast<float>(static_cast<std::int32_t>(product)) +
                      (of.offset * static_cast<float>(row.ones) + of.base);
  return combine(row.factors, row.centroid, exact, std::abs(row.factors.rescale) * of.error);
}

Estimate Rabitq::SignQuery::estimate(const std::uint8_t* record) const noexcept {
  const std::size_t words = codec_->padded() / kCodeBlock;
  const std::uint32_t product = kernels_.pair(record, {planes_.data(), codec_->params_.query_bits, words});
  return finish(codec_->sign_factors(record), product);
}

void Rabitq::SignQuery::estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept {
  const std::size_t words = codec_->padded() / kCodeBlock;
  std::array<std::uint32_t, 4> products;
  kernels_.x4(records, {planes_.data(), codec_->params_.query_bits, words}, products.data());
  for (std::size_t i = 0; i < 4; ++i) out[i] = finish(codec_->sign_factors(records[i]), products[i]);
}

void Rabitq::SignQuery::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  const std::size_t words = codec_->padded() / kCodeBlock;
  const BitCodeKernels::Query query{planes_.data(), codec_->params_.query_bits, words};
  std::array<std::uint32_t, kBlockRows> products;
  for (std::size_t begin = 0; begin < records.n; begin += kBlockRows) {
    const std::uint8_t* const first = records.data + begin * records.stride;
    const std::size_t n = std::min(kBlockRows, records.n - begin);
    kernels_.block({first, n, records.stride}, query, products.data());
    for (std::size_t i = 0; i < n; ++i) {
      out[begin + i] = finish(codec_->sign_factors(first + i * records.stride), products[i]);
    }
  }
}

void Rabitq::Query::bind_values(std::span<const float> rotated, double norm) {
  double greatest = 0;
  for (const float value : rotated) greatest = std::max(greatest, std::abs(double{value}));
  const double step = greatest / double{kQueryLevels};
  const double inverse = step > 0 && std::isfinite(step) ? 1 / step : 0.0;
  double lost = 0;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < rotated.size(); ++i) {
    const double level = std::nearbyint(double{rotated[i]} * inverse);
    // A NaN, which overflow can make, becomes 0.
    const double value = level == level ? std::clamp(level, -double{kQueryLevels}, double{kQueryLevels}) : 0.0;
    values_[i] = static_cast<std::int8_t>(value);
    sum += values_[i];
    lost += (double{rotated[i]} - step * value) * (double{rotated[i]} - step * value);
  }
  const double middle = (std::exp2(static_cast<double>(signs_.codec_->params_.bits)) - 1) / 2;
  quantisation_ = {static_cast<float>(step), 0, static_cast<float>(-middle * step * static_cast<double>(sum)),
                   static_cast<float>(signs_.error_of(lost, norm))};
}

const CodeKernels::Forms& Rabitq::Query::forms(unsigned bits) const noexcept {
  return bits == 4 ? kernels_.u4 : bits == 2 ? kernels_.u2 : kernels_.u1;
}

Estimate Rabitq::Query::finish(const std::uint8_t* record, std::int32_t product) const noexcept {
  const SignFactors signs = signs_.codec_->sign_factors(record);
  const float exact = quantisation_.scale * static_cast<float>(product) + quantisation_.base;
  return signs_.combine(signs_.codec_->full_factors(record), signs.centroid, exact,
                        std::abs(signs.factors.rescale) * quantisation_.error);
}

Estimate Rabitq::Query::estimate(const std::uint8_t* record) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.estimate(record);
  std::int32_t sum = 0;
  for (const Part& part : codec.parts()) {
    sum += forms(part.bits).pair(record + part.offset, values_.data(), codec.padded()) * (1 << part.shift);
  }
  return finish(record, sum);
}

void Rabitq::Query::estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.estimate_x4(records, out);
  std::array<std::int32_t, 4> sums{};
  for (const Part& part : codec.parts()) {
    std::array<const std::uint8_t*, 4> codes;
    for (std::size_t i = 0; i < 4; ++i) codes[i] = records[i] + part.offset;
    std::array<std::int32_t, 4> products;
    forms(part.bits).x4(codes.data(), values_.data(), codec.padded(), products.data());
    for (std::size_t i = 0; i < 4; ++i) sums[i] += products[i] * (1 << part.shift);
  }
  for (std::size_t i = 0; i < 4; ++i) out[i] = finish(records[i], sums[i]);
}

void Rabitq::Query::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.estimate_block(records, out);
  std::array<std::int32_t, kBlockRows> products;
  for (std::size_t begin = 0; begin < records.n; begin += kBlockRows) {
    const std::uint8_t* const first = records.data + begin * records.stride;
    const std::size_t n = std::min(kBlockRows, records.n - begin);
    std::array<std::int32_t, kBlockRows> sums{};
    for (const Part& part : codec.parts()) {
      forms(part.bits).block({first + part.offset, n, records.stride}, values_.data(), codec.padded(), products.data());
      for (std::size_t i = 0; i < n; ++i) sums[i] += products[i] * (1 << part.shift);
    }
    for (std::size_t i = 0; i < n; ++i) out[begin + i] = finish(first + i * records.stride, sums[i]);
  }
}

}  // namespace vdb
