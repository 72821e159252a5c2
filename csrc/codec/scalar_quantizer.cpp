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
constexpr std::size_t kTogether = 4;    // rows of a gathered product
constexpr std::size_t kLanes = 8;       // sums side by side, so that the compiler can use its registers
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
  Query bound(*this);
  bound.bind(query);
  return bound;
}

// Fills centred_ and returns the greatest of its absolute values.
double ScalarQuantizer::Query::centre(const float* query) noexcept {
  const std::size_t dim = codec_->dim();
  const float* const mean = codec_->mean_.data();
  double* const values = centred_.data();
  if (codec_->metric_ == Metric::kL2) {
    for (std::size_t d = 0; d < dim; ++d) values[d] = double{query[d]} - double{mean[d]};
  } else {
    for (std::size_t d = 0; d < dim; ++d) values[d] = double{query[d]};
  }
  double greatest[kLanes] = {};
  for (std::size_t d = 0; d < centred_.size(); d += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const double size = std::abs(values[d + j]);
      greatest[j] = size > greatest[j] ? size : greatest[j];
    }
  }
  return *std::max_element(greatest, greatest + kLanes);
}

void ScalarQuantizer::Query::bind(const float* query) noexcept {
  terms_ = {};
  terms_.l2 = codec_->metric_ == Metric::kL2;
  terms_.scale = to_float(centre(query) / double{kQueryLevels});
  const double scale = double{terms_.scale};
  const double inverse = scale > 0 && std::isfinite(scale) ? 1.0 / scale : 0.0;
  double norm[kLanes] = {};
  double lost[kLanes] = {};
  std::int32_t sums[kLanes] = {};
  for (std::size_t d = 0; d < values_.size(); d += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const double value = centred_[d + j];
      // Written so that a NaN, which overflow can make, becomes the least level.
      const double level = value * inverse + double{kQueryLevels};
      const double positive = level > 0 ? level : 0.0;
      const double inside = positive < 2 * double{kQueryLevels} ? positive : 2 * double{kQueryLevels};
      const std::int32_t code = static_cast<std::int32_t>(inside + 0.5) - static_cast<std::int32_t>(kQueryLevels);
      values_[d + j] = static_cast<std::int8_t>(code);
      sums[j] += code;
      const double left = value - scale * code;
      lost[j] += left * left;
      norm[j] += value * value;
    }
  }
  Quantised all{0, 0, 0, 0};
  for (std::size_t j = 0; j < kLanes; ++j) {
    all.sum += sums[j];
    all.norm_squared += norm[j];
    all.lost += lost[j];
  }
  if (!terms_.l2) {
    double products[kLanes] = {};
    for (std::size_t d = 0; d < codec_->dim(); ++d) products[d % kLanes] += double{codec_->mean_[d]} * centred_[d];
    for (const double product : products) all.with_mean += product;
  }
  set_terms(all);
}

void ScalarQuantizer::Query::set_terms(const Quantised& query) noexcept {
  const double norm = std::sqrt(query.norm_squared);
  const double slack = rounding(codec_->dim());
  terms_.offset_scale = to_float(double{terms_.scale} * static_cast<double>(query.sum));
  terms_.base = to_float(terms_.l2 ? norm * norm : -query.with_mean);
  terms_.error_norm = raised(std::sqrt(query.lost) + slack * norm);
  terms_.error_residual = raised(norm * (1 + slack));
  terms_.error_base = raised(slack * norm * codec_->mean_norm_);
  terms_.rounding = raised(2 * slack);
  if (!(norm <= kLongest) || !(terms_.l2 || codec_->mean_norm_ <= kLongest)) {
    terms_.error_base = terms_.rounding = std::numeric_limits<float>::infinity();
  }
}

float ScalarQuantizer::distance(const Terms& terms, const Factors& factors, float product) noexcept {
  const float cross = factors.offset * terms.offset_scale + factors.step * (terms.scale * product);
  if (!terms.l2) return terms.base - cross;
  return std::max((factors.norm * factors.norm + terms.base) - 2.0F * cross, 0.0F);
}

// Under inner product the interval is Cauchy-Schwarz's. Under l2 it is the triangle inequality's: a row is within
// `residual` of its code, so its distance is within `residual` of the code's.
Estimate ScalarQuantizer::finish(const Terms& terms, const Factors& factors, float product) noexcept {
  const float of_code = distance(terms, factors, product);
  if (!terms.l2) {
    const float error = factors.residual * terms.error_residual + (factors.norm * terms.error_norm + terms.error_base);
    return {of_code, error + kUnderflow};
  }
  const float squared = factors.norm * factors.norm;
  const float code_error = 2.0F * (factors.norm * terms.error_norm) + terms.rounding * (squared + terms.base);
  const float reach = std::sqrt(of_code + code_error);
  return {of_code, code_error + factors.residual * (2.0F * reach + factors.residual) + kUnderflow};
}

Estimate ScalarQuantizer::Query::estimate(const std::uint8_t* record) const noexcept {
  const std::int32_t product = kernels_.pair(record, values_.data(), codec_->padded_);
  return finish(terms_, codec_->factors_of(record), static_cast<float>(product));
}

void ScalarQuantizer::Query::estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept {
  std::array<std::int32_t, kTogether> products;
  kernels_.x4(records, values_.data(), codec_->padded_, products.data());
  for (std::size_t i = 0; i < kTogether; ++i) {
    out[i] = finish(terms_, codec_->factors_of(records[i]), static_cast<float>(products[i]));
  }
}

void ScalarQuantizer::Query::estimates(const CodeRows& all, std::span<const Slot> slots, Estimate* out) const noexcept {
  estimate_slots(*this, all, slots, out);
}

void ScalarQuantizer::Query::distances(const CodeRows& all, std::span<const Slot> slots, float* out) const noexcept {
  for (std::size_t i = 0; i < slots.size(); i += kTogether) {
    std::array<const std::uint8_t*, kTogether> records;
    for (std::size_t r = 0; r < kTogether; ++r) {
      records[r] = all.data + all.stride * slots[std::min(i + r, slots.size() - 1)];
    }
    std::array<std::int32_t, kTogether> products;
    kernels_.x4(records.data(), values_.data(), codec_->padded_, products.data());
    for (std::size_t r = 0; r < kTogether; ++r) {
      out[i + r] = distance(terms_, codec_->factors_of(records[r]), static_cast<float>(products[r]));
    }
  }
}

void ScalarQuantizer::Query::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  std::array<std::int32_t, kBlockRows> products;
  for (std::size_t begin = 0; begin < records.n; begin += kBlockRows) {
    const std::uint8_t* const first = records.data + begin * records.stride;
    const std::size_t n = std::min(kBlockRows, records.n - begin);
    kernels_.block({first, n, records.stride}, values_.data(), codec_->padded_, products.data());
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
