#include "codec/residual_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/half.h"

namespace vdb {
namespace {

constexpr std::size_t kIterations = 12;  // of the codebooks: more seldom move a centroid
constexpr std::size_t kEntries = PackedScanKernels::kEntries;
constexpr std::size_t kRows = PackedScanKernels::kRows;
constexpr float kMaxSum = 65'535;

// The serialized form: this, the mean, the quantizer.
struct Header {
  std::uint32_t dim;
  std::uint32_t l2;  // 0 or 1
  float deviation;
  std::uint32_t zero;
};
static_assert(sizeof(Header) == 16);

// Rows and queries are relative to a centroid and products are what counts, whatever the metric.
constexpr Metric kQuantizerMetric = Metric::kInnerProduct;

double product_of(const std::vector<float>& a, const float* b) noexcept {
  double sum = 0;
  for (std::size_t d = 0; d < a.size(); ++d) sum += double{a[d]} * double{b[d]};
  return sum;
}

struct Extent {
  float least;
  float greatest;
};

// Of kEntries values, without a branch: they follow no pattern.
Extent extent_of(const float* values) noexcept {
  constexpr std::size_t kLanes = 4;
  float least[kLanes];
  float greatest[kLanes];
  std::copy_n(values, kLanes, least);
  std::copy_n(values, kLanes, greatest);
  for (std::size_t i = kLanes; i < kEntries; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      least[j] = values[i + j] < least[j] ? values[i + j] : least[j];
      greatest[j] = values[i + j] > greatest[j] ? values[i + j] : greatest[j];
    }
  }
  return {std::min({least[0], least[1], least[2], least[3]}),
          std::max({greatest[0], greatest[1], greatest[2], greatest[3]})};
}

double squared(const float* row, std::size_t dim) noexcept {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) sum += double{row[d]} * double{row[d]};
  return sum;
}

}  // namespace

ResidualProduct::ResidualProduct(ProductQuantizer quantizer, std::vector<float> mean, bool l2)
    : quantizer_(std::move(quantizer)), mean_(std::move(mean)), rotated_mean_(mean_.size()), l2_(l2) {
  VDB_CHECK(mean_.size() == dim() && std::all_of(mean_.begin(), mean_.end(), [](float x) { return std::isfinite(x); }),
            "the mean must be " + std::to_string(dim()) + " finite values");
  quantizer_.rotate(mean_.data(), rotated_mean_.data());
}

ResidualProduct ResidualProduct::train(const Sample& sample, std::vector<float> mean, const Params& params,
                                       CancelToken* cancel) {
  ProductQuantizerParams wanted{.metric = kQuantizerMetric, .m = params.m};
  wanted.nbits = params.nbits;
  wanted.opq = params.opq;
  wanted.seed = params.seed;
  wanted.threads = params.threads;
  wanted.iterations = kIterations;
  const MatrixView& rows = sample.residuals;
  ResidualProduct codec(ProductQuantizer::train({rows.data, rows.n, rows.dim}, wanted, cancel), std::move(mean),
                        params.l2);
  codec.calibrate(sample);
  return codec;
}

// With errors in random directions where no list has two rows; never less than that.
void ResidualProduct::calibrate(const Sample& sample) {
  const MatrixView& rows = sample.residuals;
  std::vector<float> turned(dim());
  std::vector<float> coded(dim());
  std::vector<std::uint8_t> code(shape().code_bytes());
  double pairs = 0;
  double pair_errors = 0;
  double isotropic = 0;
  double measured = 0;
  for (std::size_t i = 0; i + 1 < rows.n; ++i) {
    quantizer_.rotate(rows.row(i), turned.data());
    quantizer_.codebook().quantize(turned.data(), code.data());
    quantizer_.codebook().reconstruct(code.data(), coded.data());
    const double along = product_of(coded, turned.data());
    const double norm_squared = squared(turned.data(), dim());
    if (!(along > 0)) continue;
    // The code less the residual in its scale, which stand at a right angle.
    for (std::size_t d = 0; d < dim(); ++d) coded[d] -= static_cast<float>(along / norm_squared) * turned[d];
    isotropic += squared(coded.data(), dim()) / static_cast<double>(dim());
    ++measured;
    if (sample.lists[i] != sample.lists[i + 1]) continue;
    quantizer_.rotate(rows.row(i + 1), turned.data());
    const double reach = squared(turned.data(), dim());
    if (!(reach > 0)) continue;
    const double error = product_of(coded, turned.data());
    pair_errors += error * error / reach;
    ++pairs;
  }
  const double by_pairs = pairs > 0 ? pair_errors / pairs : 0.0;
  const double at_random = measured > 0 ? isotropic / measured : 0.0;
  deviation_ = static_cast<float>(std::sqrt(std::max(by_pairs, at_random)));
}

std::vector<unsigned char> ResidualProduct::serialize() const {
  const Header header{static_cast<std::uint32_t>(dim()), l2_ ? 1U : 0U, deviation_, 0};
  const std::vector<unsigned char> quantizer = quantizer_.serialize();
  std::vector<unsigned char> out;
  for (const Bytes part : {bytes_of(std::span(&header, 1)), bytes_of(std::span(mean_)), Bytes{quantizer}}) {
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

ResidualProduct ResidualProduct::deserialize(Bytes bytes) {
  Header header;
  VDB_CHECK(bytes.size() >= sizeof header, "a codec of " + std::to_string(bytes.size()) + " bytes; expected at least " +
                                               std::to_string(sizeof header));
  std::memcpy(&header, bytes.data(), sizeof header);
  VDB_CHECK(header.l2 <= 1 && header.zero == 0 && header.deviation >= 0 && std::isfinite(header.deviation),
            "a field of the codec is out of range");
  VDB_CHECK(header.dim >= 1, "a vector has at least 1 dimension, got 0");
  const std::size_t mean_bytes = header.dim * sizeof(float);
  VDB_CHECK(bytes.size() - sizeof header >= mean_bytes, "the codec ends within its mean");
  std::vector<float> mean(header.dim);
  std::memcpy(mean.data(), bytes.data() + sizeof header, mean_bytes);
  ResidualProduct codec(ProductQuantizer::deserialize(bytes.subspan(sizeof header + mean_bytes)), std::move(mean),
                        header.l2 == 1);
  VDB_CHECK(codec.quantizer_.metric() == kQuantizerMetric, "the quantizer is of another metric");
  codec.deviation_ = header.deviation;
  return codec;
}

ResidualProduct::Encoder::Encoder(const ResidualProduct& codec)
    : codec_(codec), turned_(codec.dim()), centroid_(codec.dim()), coded_(codec.dim()) {}

void ResidualProduct::Encoder::encode(const float* row, const float* centroid, const ListRecord& out) {
  const ProductQuantizer& quantizer = codec_.quantizer_;
  quantizer.rotate(row, turned_.data());
  quantizer.rotate(centroid, centroid_.data());
  for (std::size_t d = 0; d < turned_.size(); ++d) turned_[d] -= centroid_[d];
  std::fill_n(out.code, codec_.code_bytes(), std::uint8_t{0});
  quantizer.codebook().quantize(turned_.data(), out.code);
  quantizer.codebook().reconstruct(out.code, coded_.data());
  const double node = product_of(turned_, centroid_.data());
  for (std::size_t d = 0; d < turned_.size(); ++d) centroid_[d] -= codec_.rotated_mean_[d];
  const ResidualSums sums{squared(turned_.data(), turned_.size()), product_of(coded_, turned_.data()),
                          product_of(coded_, centroid_.data()), node};
  const ResidualFactors factors = residual_factors(sums, codec_.l2_);
  *out.factors = can_keep(factors) ? factors : unknown_row();
}

ResidualProduct::Query::Query(const ResidualProduct& codec)
    : codec_(&codec),
      kernels_(kernels().pq),
      estimate_(kernels().packed_scan.estimate_bf16),
      query_(codec.dim()),
      turned_(codec.dim()),
      partial_(codec.shape().m * codec.shape().centroids(), 0.0F),
      least_(codec.shape().m),
      bytes_(codec.interleaved() ? 2 * codec.code_bytes() * kEntries : 0, std::uint8_t{0}) {
  table_.table = bytes_.data();
  table_.m = 2 * codec.code_bytes();
}

void ResidualProduct::Query::bind(const float* query) {
  for (std::size_t d = 0; d < query_.size(); ++d) query_[d] = query[d] - codec_->mean_[d];
  codec_->quantizer_.rotate(query_.data(), turned_.data());
  const ProductShape& shape = codec_->shape();
  for (std::size_t j = 0; j < shape.m; ++j) {
    kernels_.inner_product(turned_.data() + shape.begin(j), codec_->quantizer_.codebook().columns(j),
                           partial_.data() + j * shape.centroids());
  }
  if (codec_->interleaved()) bind_bytes();
}

// The step at which the widest row fits the kernel's bytes and all rows its sums.
void ResidualProduct::Query::bind_bytes() noexcept {
  const std::size_t m = codec_->shape().m;
  float widest = 0;
  float total = 0;
  double base = 0;
  for (std::size_t j = 0; j < m; ++j) {
    const Extent row = extent_of(&partial_[j * kEntries]);
    least_[j] = row.least;
    widest = std::max(widest, row.greatest - row.least);
    total += row.greatest - row.least;
    base += double{row.least};
  }
  constexpr auto kTop = static_cast<float>(PackedScanKernels::kMaxEntry);
  const float step = std::max(widest / kTop, total / (kMaxSum - static_cast<float>(m)));
  const float inverse = 1 / step;
  const bool usable = step > 0 && std::isfinite(step) && std::isfinite(inverse);
  for (std::size_t j = 0; j < m; ++j) {
    const float* const row = &partial_[j * kEntries];
    int levels[kEntries];
    for (std::size_t c = 0; c < kEntries; ++c) {
      const float level = usable ? (row[c] - least_[j]) * inverse + 0.5F : 0.0F;
      // What is no number, which overflow can make, becomes 0.
      levels[c] = static_cast<int>(level <= kTop + 0.5F ? level : 0.0F);
    }
    for (std::size_t c = 0; c < kEntries; ++c) bytes_[j * kEntries + c] = static_cast<std::uint8_t>(levels[c]);
  }
  table_.scale = usable ? step : 0.0F;
  table_.base = static_cast<float>(base);
  rounding_ = table_.scale * std::sqrt(static_cast<float>(m) / 12.0F);
}

void ResidualProduct::Query::enter(const ListTerms& list, float deviations) noexcept {
  const float missed = codec_->deviation_ * list.reach;
  list_ = list;
  margin_ = deviations * std::sqrt(missed * missed + rounding_ * rounding_);
}

std::uint32_t ResidualProduct::Query::estimate(const ListBlock& block, float threshold, float* out) const noexcept {
  if (codec_->interleaved()) {
    PackedScanKernels::Query query = table_;
    query.base += margin_;
    return estimate_(query, block.codes, block.factors, {list_.distance, threshold}, out);
  }
  kernels_.lookup8_block(partial_.data(), {block.codes, kRows, codec_->code_bytes()}, codec_->shape().m, out);
  std::uint32_t nearer = 0;
  for (std::size_t i = 0; i < kRows; ++i) {
    const float add = from_bfloat16(block.factors[i]);
    const float multiply = from_bfloat16(block.factors[kRows + i]);
    out[i] = list_.distance + (add + multiply * (out[i] + margin_));
    nearer |= (out[i] < threshold ? 1U : 0U) << i;
  }
  return nearer;
}

}  // namespace vdb
