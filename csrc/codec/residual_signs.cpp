#include "codec/residual_signs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>
#include <utility>

#include "base/check.h"
#include "codec/level_code.h"
#include "codec/query_grid.h"
#include "core/code_packing.h"
#include "core/dimensions.h"

namespace vdb {
namespace {

constexpr std::size_t kMaxBits = 8;
constexpr double kDeviations = 1.9;     // of FullFactors::error and Query::error_
constexpr float kQueryLevels = 127.0F;  // of the query's values against longer codes, on either side of zero
// Of the squared length of a residual, what its signs miss where coordinates are Gaussian.
constexpr float kMissed = static_cast<float>(1 - 2 / std::numbers::pi);

// The serialized form: this and the mean.
struct Header {
  std::uint64_t seed;
  std::uint32_t dim;
  std::uint32_t bits;
  std::uint32_t l2;  // 0 or 1
  std::uint32_t zero;
};
static_assert(sizeof(Header) == 24);

ResidualSigns::Params checked(const ResidualSigns::Params& params) {
  VDB_CHECK(params.bits >= 1 && params.bits <= kMaxBits,
            "bits must be from 1 to " + std::to_string(kMaxBits) + ", got " + std::to_string(params.bits));
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
  return params;
}

// What a value of all bits stands for is less by this.
double middle_of(std::size_t bits) noexcept { return (std::exp2(static_cast<double>(bits)) - 1) / 2; }

double spread_of(std::size_t padded) noexcept { return 1 / std::sqrt(static_cast<double>(padded - 1)); }

}  // namespace

ResidualSigns::ResidualSigns(const Params& params, std::vector<float> mean)
    : params_(checked(params)),
      rotation_(params.dim, params.seed),
      mean_(std::move(mean)),
      rotated_mean_(rotation_.padded_dim()) {
  VDB_CHECK(
      mean_.size() == params.dim && std::all_of(mean_.begin(), mean_.end(), [](float x) { return std::isfinite(x); }),
      "the mean must be " + std::to_string(params.dim) + " finite values");
  rotation_.apply(mean_.data(), rotated_mean_.data());
  if (params.bits == 1) return;
  n_parts_ = level_parts(params.bits, padded(), 0, parts_.data());
  for (const CodeKernels::Part& part : parts()) extra_bytes_ += packed_bytes(padded(), part.bits);
  extra_bytes_ += sizeof(FullFactors);
}

std::vector<unsigned char> ResidualSigns::serialize() const {
  const Header header{params_.seed, static_cast<std::uint32_t>(params_.dim), static_cast<std::uint32_t>(params_.bits),
                      params_.l2 ? 1U : 0U, 0};
  std::vector<unsigned char> out(sizeof header + mean_.size() * sizeof(float));
  std::memcpy(out.data(), &header, sizeof header);
  std::memcpy(out.data() + sizeof header, mean_.data(), mean_.size() * sizeof(float));
  return out;
}

ResidualSigns ResidualSigns::deserialize(Bytes bytes) {
  Header header;
  VDB_CHECK(bytes.size() >= sizeof header, "a codec of " + std::to_string(bytes.size()) + " bytes; expected at least " +
                                               std::to_string(sizeof header));
  std::memcpy(&header, bytes.data(), sizeof header);
  VDB_CHECK(header.l2 <= 1 && header.zero == 0, "a field of the codec is out of range");
  const Params params = checked({header.dim, header.l2 == 1, header.bits, header.seed});
  const std::size_t expected = sizeof header + params.dim * sizeof(float);
  VDB_CHECK(bytes.size() == expected,
            "a codec of " + std::to_string(bytes.size()) + " bytes; expected " + std::to_string(expected));
  std::vector<float> mean(params.dim);
  std::memcpy(mean.data(), bytes.data() + sizeof header, params.dim * sizeof(float));
  return {params, std::move(mean)};
}

ResidualSigns::Encoder::Encoder(const ResidualSigns& codec)
    : codec_(codec),
      residual_(codec.padded()),
      node_(codec.padded()),
      centred_(codec.padded()),
      values_(codec.padded()) {}

void ResidualSigns::Encoder::encode(const float* row, const float* centroid, const ListRecord& out) {
  const std::size_t n = codec_.padded();
  codec_.rotation_.apply(row, residual_.data());
  codec_.rotation_.apply(centroid, node_.data());
  for (std::size_t i = 0; i < n; ++i) {
    residual_[i] -= node_[i];
    centred_[i] = node_[i] - codec_.rotated_mean_[i];
  }
  encode_signs(residual_.data(), n, 1, out.code);
  const ResidualSums sums = sign_sums(residual_.data(), centred_.data(), node_.data(), n);
  const ResidualFactors factors = residual_factors(sums, codec_.l2());
  *out.factors = can_keep(factors) ? factors : unknown_row();
  if (codec_.extra_bytes() != 0) encode_extra(sums, out.extra);
}

void ResidualSigns::Encoder::encode_extra(const ResidualSums& signs, std::uint8_t* out) {
  FullFactors full{unknown_row().add, 0, 0};
  std::memset(out, 0, codec_.extra_bytes());
  if (!(signs.norm_squared > 0)) {  // the centroid itself
    full.add = static_cast<float>(-(codec_.l2() ? 0 : signs.node));
  } else if (std::isfinite(signs.norm_squared)) {
    const LevelProducts code = encode_levels({residual_, centred_.data()}, codec_.params_.bits, values_.data());
    for (const CodeKernels::Part& part : codec_.parts()) pack_part(values_, part, out + part.offset);
    const ResidualFactors factors =
        residual_factors({signs.norm_squared, code.residual, code.other, signs.node}, codec_.l2());
    const double cosine_squared = code.residual * code.residual / (code.norm_squared * signs.norm_squared);
    const double tangent = std::sqrt(std::max(1 - cosine_squared, 0.0) / cosine_squared);
    const double error = std::sqrt(signs.norm_squared) * tangent * spread_of(codec_.padded()) * kDeviations;
    if (can_keep(factors)) full = {factors.add, factors.multiply, static_cast<float>((codec_.l2() ? 2 : 1) * error)};
  }
  std::memcpy(out + codec_.extra_bytes() - sizeof full, &full, sizeof full);
}

ResidualSigns::Query::Query(const ResidualSigns& codec)
    : codec_(&codec),
      estimate_(kernels().packed_scan.estimate_bf16),
      kernels_(kernels().code),
      centred_(codec.padded()),
      levels_(codec.padded()),
      values_(codec.padded(), 0) {}

void ResidualSigns::Query::bind(const float* query) {
  const std::size_t n = codec_->padded();
  codec_->rotation_.apply(query, centred_.data());
  float greatest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    centred_[i] -= codec_->rotated_mean_[i];
    greatest = std::max(greatest, std::abs(centred_[i]));
  }
  table_.bind(centred_.data(), n);
  if (!refines()) return;
  const QueryGrid grid(-double{greatest}, double{greatest} / double{kQueryLevels}, 2 * kQueryLevels);
  const QuantisedQuery quantised = quantise(centred_, grid, levels_.data());
  constexpr auto kZero = static_cast<int>(kQueryLevels);
  for (std::size_t i = 0; i < n; ++i) values_[i] = static_cast<std::int8_t>(levels_[i] - kZero);
  const auto sum = static_cast<double>(quantised.sum - kZero * static_cast<std::int64_t>(n));
  scale_ = static_cast<float>(grid.step);
  base_ = static_cast<float>(-middle_of(codec_->params_.bits) * grid.step * sum);
  // A code is half as long as its dimensions' root, or less, for each unit of the rescale of its signs.
  error_ = static_cast<float>(kDeviations * 0.5 * std::exp2(static_cast<double>(codec_->params_.bits)) *
                              std::sqrt(quantised.lost));
}

void ResidualSigns::Query::enter(const ListTerms& list, float deviations) noexcept {
  const float rounding = table_.deviation();
  list_ = list;
  margin_ = deviations * std::sqrt(kMissed * list.reach * list.reach + rounding * rounding);
  now_ = table_.query();
  now_.base += margin_;
}

Estimate ResidualSigns::Query::refine(const std::uint8_t* codes, std::size_t lane,
                                      const std::uint8_t* extra) const noexcept {
  constexpr std::size_t kMaxSignBytes = kMaxDim / 8;
  const std::size_t n = codec_->padded();
  std::array<std::uint8_t, kMaxSignBytes + 8> signs;
  for (std::size_t b = 0; b < n / 8; ++b) signs[b] = codes[b * PackedScanKernels::kRows + lane];
  const std::int8_t* const values = values_.data();
  std::int32_t product = kernels_.u1.pair(signs.data(), values, n) * (1 << (codec_->params_.bits - 1));
  for (const CodeKernels::Part& part : codec_->parts()) {
    const auto& form = part.bits == 4 ? kernels_.u4 : part.bits == 2 ? kernels_.u2 : kernels_.u1;
    product += form.pair(extra + part.offset, values, n) * (1 << part.shift);
  }
  FullFactors full;
  std::memcpy(&full, extra + codec_->extra_bytes() - sizeof full, sizeof full);
  const float change = full.add + full.rescale * (scale_ * static_cast<float>(product) + base_);
  const float code_error = full.error * list_.reach;
  const float query_error = full.rescale * error_;
  return {list_.distance + change, std::sqrt(code_error * code_error + query_error * query_error)};
}

}  // namespace vdb
