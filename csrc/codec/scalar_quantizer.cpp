#include "codec/scalar_quantizer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "codec/rounding.h"
#include "core/dimensions.h"

namespace vdb {
namespace {

constexpr std::size_t kPadding = 64;    // the kernels take whole blocks of this many dimensions
constexpr float kLevels = 255.0F;       // steps of a code
constexpr float kQueryLevels = 127.0F;  // of a query's values, on either side of zero
constexpr std::size_t kBlockRows = 64;  // products of a block on the stack
constexpr double kEpsilon = 0x1p-22;    // a few roundings to float32

// What float32 may lose of a product of two vectors, relative to the product of their lengths: the roundings of the
// distances that rows are ranked by, and those of finish(), whose two terms may each be sqrt(dim) times their sum.
double rounding(std::size_t dim) { return ranking_error(dim) + 8 * std::sqrt(static_cast<double>(dim)) * kEpsilon; }

// Beyond this length sums might overflow, here or in the kernels that rank rows: nothing is said of such a vector.
constexpr double kLongest = 0x1p50;

// Products of small values vanish in float32: more than the sum of what they lose.
constexpr float kUnderflow = 0x1p-100F;

// Not below `value` and what a few roundings may add to it.
float raised(double value) { return rounded_up(value * (1 + kEpsilon)); }

// What the sections of a serialised quantiser begin with.
struct Header {
  std::uint32_t dim;
  std::uint32_t metric;
};

}  // namespace

ScalarQuantizer::ScalarQuantizer(std::vector<float> mean, Metric metric)
    : mean_(std::move(mean)),
      mean_norm_(0),
      padded_((mean_.size() + kPadding - 1) / kPadding * kPadding),
      metric_(metric) {
  for (const float value : mean_) mean_norm_ += double{value} * double{value};
  mean_norm_ = std::sqrt(mean_norm_);
}

ScalarQuantizer ScalarQuantizer::train(const TrainingRows& rows, const ScalarQuantizerParams& params, CancelToken*) {
  VDB_CHECK(rows.dim >= 1 && rows.dim <= kMaxDim,
            "a vector has 1 to " + std::to_string(kMaxDim) + " dimensions, got " + std::to_string(rows.dim));
  VDB_CHECK(params.metric != Metric::kCosine, "codes know l2 and ip; normalise the rows for cosine");
  std::vector<double> sums(rows.dim);
  for (std::size_t i = 0; i < rows.n; ++i) {
    for (std::size_t d = 0; d < rows.dim; ++d) sums[d] += double{rows.data[i * rows.dim + d]};
  }
  std::vector<float> mean(rows.dim);
  for (std::size_t d = 0; d < rows.dim && rows.n > 0; ++d) {
    mean[d] = static_cast<float>(sums[d] / static_cast<double>(rows.n));
  }
  return {std::move(mean), params.metric};
}

ScalarQuantizer ScalarQuantizer::deserialize(Bytes bytes) {
  Header header;
  VDB_CHECK(bytes.size() >= sizeof header,
            "a scalar quantiser has at least 8 bytes, got " + std::to_string(bytes.size()));
  std::memcpy(&header, bytes.data(), sizeof header);
  VDB_CHECK(header.dim >= 1 && header.dim <= kMaxDim,
            "dim must be 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(header.dim));
  VDB_CHECK(header.metric == static_cast<std::uint32_t>(Metric::kL2) ||
                header.metric == static_cast<std::uint32_t>(Metric::kInnerProduct),
            "metric must be 0 or 2, got " + std::to_string(header.metric));
  VDB_CHECK(bytes.size() == sizeof header + header.dim * sizeof(float), "a mean of " + std::to_string(header.dim) +
                                                                            " values was expected, got " +
                                                                            std::to_string(bytes.size()) + " bytes");
  std::vector<float> mean(header.dim);
  std::memcpy(mean.data(), bytes.data() + sizeof header, mean.size() * sizeof(float));
  for (const float value : mean) VDB_CHECK(std::isfinite(value), "the mean must be finite");
  return {std::move(mean), static_cast<Metric>(header.metric)};
}

std::vector<unsigned char> ScalarQuantizer::serialize() const {
  const Header header{static_cast<std::uint32_t>(dim()), static_cast<std::uint32_t>(metric_)};
  std::vector<unsigned char> bytes(sizeof header + mean_.size() * sizeof(float));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, mean_.data(), mean_.size() * sizeof(float));
  return bytes;
}

void ScalarQuantizer::encode(const float* row, std::uint8_t* record) const {
  double least = std::numeric_limits<double>::infinity();
  double greatest = -least;
  for (std::size_t d = 0; d < dim(); ++d) {
    const double value = double{row[d]} - double{mean_[d]};
    least = std::min(least, value);
    greatest = std::max(greatest, value);
  }
  Factors factors{};
  factors.offset = to_float(least);
  factors.step = to_float((greatest - least) / double{kLevels});
  const double inverse = factors.step > 0 ? 1.0 / double{factors.step} : 0.0;
  double lost = 0;
  double norm = 0;
  for (std::size_t d = 0; d < dim(); ++d) {
    const double value = double{row[d]} - double{mean_[d]};
    const double level = (value - double{factors.offset}) * inverse;
    // Written so that a NaN, which overflow can make, becomes level 0.
    const double code = level > 0 ? std::min(std::floor(level + 0.5), double{kLevels}) : 0.0;
    record[d] = static_cast<std::uint8_t>(code);
    const double kept = double{factors.offset} + double{factors.step} * code;
    lost += (value - kept) * (value - kept);
    norm += kept * kept;
  }
  std::fill(record + dim(), record + padded_, std::uint8_t{0});
  factors.norm = raised(std::sqrt(norm));
  factors.residual = raised(std::sqrt(lost));
  if (!(std::sqrt(norm) <= kLongest)) {
    std::fill(record, record + padded_, std::uint8_t{0});
    factors = {0, 0, 0, std::numeric_limits<float>::infinity()};
  }
  std::memcpy(record + padded_, &factors, sizeof factors);
}

void ScalarQuantizer::decode(const std::uint8_t* record, float* row) const {
  const Factors factors = factors_of(record);
  for (std::size_t d = 0; d < dim(); ++d) {
    row[d] = mean_[d] + (factors.offset + factors.step * static_cast<float>(record[d]));
  }
}

ScalarQuantizer::Factors ScalarQuantizer::factors_of(const std::uint8_t* record) const noexcept {
  Factors factors;
  std::memcpy(&factors, record + padded_, sizeof factors);
  return factors;
}

ScalarQuantizer::Query ScalarQuantizer::bind(const float* query) const {
  const bool l2 = metric_ == Metric::kL2;
  const auto value = [&](std::size_t d) { return l2 ? double{query[d]} - double{mean_[d]} : double{query[d]}; };
  double greatest = 0;
  for (std::size_t d = 0; d < dim(); ++d) greatest = std::max(greatest, std::abs(value(d)));
  Query bound(*this);
  Terms& terms = bound.terms_;
  terms.l2 = l2;
  terms.scale = to_float(greatest / double{kQueryLevels});
  const double inverse = terms.scale > 0 && std::isfinite(terms.scale) ? 1.0 / double{terms.scale} : 0.0;
  double norm = 0;
  double lost = 0;
  double from_mean = 0;
  std::int64_t sum = 0;
  for (std::size_t d = 0; d < dim(); ++d) {
    const double level = std::nearbyint(value(d) * inverse);
    const double rounded = level == level ? std::clamp(level, -double{kQueryLevels}, double{kQueryLevels}) : 0.0;
    bound.values_[d] = static_cast<std::int8_t>(rounded);
    sum += bound.values_[d];
    const double left = value(d) - double{terms.scale} * rounded;
    lost += left * left;
    norm += value(d) * value(d);
    from_mean += double{mean_[d]} * value(d);
  }
  norm = std::sqrt(norm);
  const double slack = rounding(dim());
  terms.offset_scale = to_float(double{terms.scale} * static_cast<double>(sum));
  terms.base = to_float(l2 ? norm * norm : -from_mean);
  terms.error_norm = raised(std::sqrt(lost) + slack * norm);
  terms.error_residual = raised(norm * (1 + slack));
  terms.error_base = raised(slack * norm * mean_norm_);
  terms.rounding = raised(2 * slack);
  if (!(norm <= kLongest) || !(l2 || mean_norm_ <= kLongest)) {
    terms.error_base = terms.rounding = std::numeric_limits<float>::infinity();
  }
  return bound;
}

// Under inner product the interval is Cauchy-Schwarz's. Under l2 it is the triangle inequality's: a row is within
// `residual` of its code, so its distance is within `residual` of the code's.
Estimate ScalarQuantizer::finish(const Terms& terms, const Factors& factors, float product) noexcept {
  const float cross = factors.offset * terms.offset_scale + factors.step * (terms.scale * product);
  if (!terms.l2) {
    const float error = factors.residual * terms.error_residual + (factors.norm * terms.error_norm + terms.error_base);
    return {terms.base - cross, error + kUnderflow};
  }
  const float squared = factors.norm * factors.norm;
  const float distance = std::max((squared + terms.base) - 2.0F * cross, 0.0F);
  const float code_error = 2.0F * (factors.norm * terms.error_norm) + terms.rounding * (squared + terms.base);
  const float reach = std::sqrt(distance + code_error);
  return {distance, code_error + factors.residual * (2.0F * reach + factors.residual) + kUnderflow};
}

Estimate ScalarQuantizer::Query::estimate(const std::uint8_t* record) const noexcept {
  const std::int32_t product = kernels().code.u8.pair(record, values_.data(), codec_->padded_);
  return finish(terms_, codec_->factors_of(record), static_cast<float>(product));
}

void ScalarQuantizer::Query::estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept {
  std::array<std::int32_t, 4> products;
  kernels().code.u8.x4(records, values_.data(), codec_->padded_, products.data());
  for (std::size_t i = 0; i < 4; ++i) {
    out[i] = finish(terms_, codec_->factors_of(records[i]), static_cast<float>(products[i]));
  }
}

void ScalarQuantizer::Query::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  std::array<std::int32_t, kBlockRows> products;
  for (std::size_t begin = 0; begin < records.n; begin += kBlockRows) {
    const std::uint8_t* const first = records.data + begin * records.stride;
    const std::size_t n = std::min(kBlockRows, records.n - begin);
    kernels().code.u8.block({first, n, records.stride}, values_.data(), codec_->padded_, products.data());
    for (std::size_t i = 0; i < n; ++i) {
      out[begin + i] = finish(terms_, codec_->factors_of(first + i * records.stride), static_cast<float>(products[i]));
    }
  }
}

ScalarQuantizer::Batch::Batch(std::span<const Query> queries)
    : codec_(queries.front().codec_),
      values_(queries.size() * codec_->padded_, 0),
      products_(queries.size() * kRows, 0) {
  for (std::size_t q = 0; q < queries.size(); ++q) {
    std::copy_n(queries[q].values_.data(), codec_->padded_, values_.data() + q * codec_->padded_);
    terms_.push_back(queries[q].terms_);
  }
}

void ScalarQuantizer::Batch::estimate(const CodeRows& records, Estimate* out) noexcept {
  VDB_ASSERT(records.n <= kRows);
  kernels().code.u8.tile(records, values_.data(), terms_.size(), codec_->padded_, products_.data());
  std::array<Factors, kRows> factors;
  for (std::size_t i = 0; i < records.n; ++i) factors[i] = codec_->factors_of(records.data + i * records.stride);
  for (std::size_t q = 0; q < terms_.size(); ++q) {
    const Terms terms = terms_[q];
    const std::int32_t* const products = products_.data() + q * records.n;
    Estimate* const row = out + q * records.n;
    for (std::size_t i = 0; i < records.n; ++i) {
      row[i] = finish(terms, factors[i], static_cast<float>(products[i]));
    }
  }
}

}  // namespace vdb
