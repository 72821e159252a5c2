#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

#include "codec/rabitq.h"
#include "core/code_packing.h"

namespace vdb {
namespace {

constexpr std::size_t kBlockRows = 64;  // products of a block on the stack
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace

Estimate Rabitq::SignQuery::combine(const Factors& row, std::uint16_t centroid, float product,
                                    float error) const noexcept {
  const CentroidTerms& terms = centroids_[centroid & centroid_mask_];
  const float distance = (row.add + terms.add) + row.rescale * product;
  if (!(std::abs(distance) <= kMax)) return {kMax, kInfinity};
  const float code_error = row.error * terms.distance;
  // The code and the quantised query err independently of each other. Squares of tiny errors vanish; the greater of the
  // two does not.
  const float both = std::max({std::sqrt(code_error * code_error + error * error), code_error, error});
  const float width = both + (kFloatRounding * std::abs(row.add) + terms.rounding);
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

void Rabitq::SignQuery::estimates(const CodeRows& all, std::span<const Slot> slots, Estimate* out) const noexcept {
  estimate_slots(*this, all, slots, out);
}

void Rabitq::SignQuery::distances(const CodeRows& all, std::span<const Slot> slots, float* out) const noexcept {
  shifted_distances(all, slots, 0, out);
}

// A row's error is about in proportion to its rescale, which is not positive: a greater product is a smaller distance.
void Rabitq::SignQuery::lower_bounds(const CodeRows& all, std::span<const Slot> slots, float deviations,
                                     float* out) const noexcept {
  shifted_distances(all, slots, deviations * deviation_, out);
}

void Rabitq::SignQuery::shifted_distances(const CodeRows& all, std::span<const Slot> slots, float shift,
                                          float* out) const noexcept {
  const std::size_t words = codec_->padded() / kCodeBlock;
  const Quantisation& of = quantisation_;
  kernels_.distances(all, slots.data(), slots.size(),
                     {{planes_.data(), codec_->params_.query_bits, words},
                      centroid_adds_.data(),
                      static_cast<std::uint32_t>(centroid_mask_),
                      of.scale,
                      of.offset,
                      of.base + shift},
                     out);
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

const CodeKernels::Forms& Rabitq::Query::forms(unsigned bits) const noexcept {
  return bits == 4 ? kernels_.u4 : bits == 2 ? kernels_.u2 : kernels_.u1;
}

std::array<Rabitq::Part, 4> Rabitq::Query::parts_behind(std::size_t gap) const noexcept {
  std::array<Part, 4> parts = signs_.codec_->parts_;
  for (std::size_t p = 1; p < parts.size(); ++p) parts[p].offset += gap;
  return parts;
}

Estimate Rabitq::Query::finish(const std::uint8_t* record, std::size_t gap, std::int32_t product) const noexcept {
  const SignFactors signs = signs_.codec_->sign_factors(record);
  const float exact = quantisation_.scale * static_cast<float>(product) + quantisation_.base;
  return signs_.combine(signs_.codec_->full_factors(record, gap), signs.centroid, exact,
                        std::abs(signs.factors.rescale) * quantisation_.error);
}

Estimate Rabitq::Query::estimate(const std::uint8_t* record, std::size_t plane) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.estimate(record);
  const std::size_t gap = codec.gap_of(plane);
  const std::array<Part, 4> parts = parts_behind(gap);
  std::int32_t sum = 0;
  for (std::size_t p = 0; p < codec.n_parts_; ++p) {
    const Part& part = parts[p];
    sum += forms(part.bits).pair(record + part.offset, values_.data(), codec.padded()) * (1 << part.shift);
  }
  return finish(record, gap, sum);
}

Rabitq::Query::Products Rabitq::Query::products_of(const std::uint8_t* const* records,
                                                   std::span<const Part> parts) const noexcept {
  Products sums{};
  for (const Part& part : parts) {
    const std::uint8_t* const codes[] = {records[0] + part.offset, records[1] + part.offset, records[2] + part.offset,
                                         records[3] + part.offset};
    Products products;
    forms(part.bits).x4(codes, values_.data(), signs_.codec_->padded(), products.data());
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += products[i] * (1 << part.shift);
  }
  return sums;
}

void Rabitq::Query::estimate_x4(const std::uint8_t* const* records, Estimate* out, std::size_t plane) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.estimate_x4(records, out);
  const std::size_t gap = codec.gap_of(plane);
  const std::array<Part, 4> parts = parts_behind(gap);
  const Products products = products_of(records, {parts.data(), codec.n_parts_});
  for (std::size_t i = 0; i < products.size(); ++i) out[i] = finish(records[i], gap, products[i]);
}

void Rabitq::Query::estimates(const CodeRows& all, std::span<const Slot> slots, Estimate* out) const noexcept {
  struct InPieces {
    const Query& query;
    std::size_t plane;
    Estimate estimate(const std::uint8_t* record) const noexcept { return query.estimate(record, plane); }
    void estimate_x4(const std::uint8_t* const* records, Estimate* four) const noexcept {
      query.estimate_x4(records, four, plane);
    }
  };
  estimate_slots(InPieces{*this, all.plane}, all, slots, out);
}

void Rabitq::Query::distances(const CodeRows& all, std::span<const Slot> slots, float* out) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.distances(all, slots, out);
  constexpr std::size_t kTogether = CodeKernels::kGathered;
  const std::size_t gap = codec.gap_of(all.plane);
  const std::array<Part, 4> places = parts_behind(gap);
  const CodeKernels::Parts parts{places.data(), codec.n_parts_};
  for (std::size_t i = 0; i < slots.size(); i += kTogether) {
    std::array<const std::uint8_t*, kTogether> records;
    for (std::size_t r = 0; r < kTogether; ++r) {
      records[r] = all.data + all.stride * slots[std::min(i + r, slots.size() - 1)];
    }
    std::array<std::int32_t, kTogether> products{};
    if (slots.size() - i <= std::tuple_size_v<Products>) {  // products are exact, so either form gives the same
      const Products few = products_of(records.data(), {parts.data, parts.n});
      std::copy(few.begin(), few.end(), products.begin());
    } else {
      kernels_.parts_x8(records.data(), parts, values_.data(), codec.padded(), products.data());
    }
    for (std::size_t r = 0; r < kTogether; ++r) {
      const Factors row = codec.full_factors(records[r], gap);
      const float exact = quantisation_.scale * static_cast<float>(products[r]) + quantisation_.base;
      const std::uint16_t centroid = codec.sign_factors(records[r]).centroid;
      out[i + r] = (row.add + signs_.centroid_adds_[centroid & signs_.centroid_mask_]) + row.rescale * exact;
    }
  }
}

void Rabitq::Query::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  const Rabitq& codec = *signs_.codec_;
  if (codec.signs_only()) return signs_.estimate_block(records, out);
  const std::size_t gap = codec.gap_of(records.plane);
  const std::array<Part, 4> parts = parts_behind(gap);
  std::array<std::int32_t, kBlockRows> products;
  for (std::size_t begin = 0; begin < records.n; begin += kBlockRows) {
    const std::uint8_t* const first = records.data + begin * records.stride;
    const std::size_t n = std::min(kBlockRows, records.n - begin);
    std::array<std::int32_t, kBlockRows> sums{};
    for (const Part& part : std::span(parts).first(codec.n_parts_)) {
      forms(part.bits).block({first + part.offset, n, records.stride}, values_.data(), codec.padded(), products.data());
      for (std::size_t i = 0; i < n; ++i) sums[i] += products[i] * (1 << part.shift);
    }
    for (std::size_t i = 0; i < n; ++i) out[begin + i] = finish(first + i * records.stride, gap, sums[i]);
  }
}

}  // namespace vdb
