#include "codec/product_quantizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "base/check.h"
#include "codec/opq.h"
#include "codec/rounding.h"
#include "core/dimensions.h"
#include "core/matrix_product.h"
#include "core/procrustes.h"

namespace vdb {
namespace {

constexpr double kTiny = std::numeric_limits<float>::min();  // products below it lose their digits
// Rounding steps of a distance kernel's sum: at least four sums are kept, then a tail and their reduction.
constexpr std::size_t kKernelSums = 4;
constexpr std::size_t kKernelSteps = 16;
constexpr double kMaxRotationError = 1e-3;  // beyond, a matrix is no rotation
constexpr std::size_t kBlockRows = 64;      // sums on the stack of a block estimate

// The serialized form: this, the centroids of every sub-quantiser as (width, 2^nbits) float32, the rotation.
struct Header {
  std::uint32_t dim;
  std::uint32_t m;
  std::uint32_t nbits;
  std::uint32_t metric;
  std::uint32_t rotates;  // 0 or 1
};
static_assert(sizeof(Header) == 20);

double norm(const float* row, std::size_t dim) noexcept {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) sum += static_cast<double>(row[d]) * static_cast<double>(row[d]);
  return std::sqrt(sum);
}

void check_shape(const ProductShape& shape, Metric metric) {
  VDB_CHECK(metric == Metric::kL2 || metric == Metric::kInnerProduct,
            "the metric is " + std::string(name_of(metric)) + "; expected l2 or ip on normalised rows");
  VDB_CHECK(shape.dim >= 1 && shape.dim <= kMaxDim,
            "dim is " + std::to_string(shape.dim) + "; expected from 1 to " + std::to_string(kMaxDim));
  VDB_CHECK(shape.m >= 1 && shape.m <= shape.dim,
            "m is " + std::to_string(shape.m) + "; expected from 1 to dim, " + std::to_string(shape.dim));
  VDB_CHECK(shape.nbits == 8 || shape.nbits == 4, "nbits is " + std::to_string(shape.nbits) + "; expected 8 or 4");
}

void check_opq(std::size_t dim) {
  VDB_CHECK(dim <= kMaxOpqDim, "opq rotates by a dense matrix, at most " + std::to_string(kMaxOpqDim) +
                                   " dimensions; the rows have " + std::to_string(dim) +
                                   ". Train without opq, or reduce the dimensions first");
}

}  // namespace

ProductQuantizer::ProductQuantizer(Metric metric, ProductCodebook codebook, std::vector<float> rotation,
                                   std::size_t threads)
    : metric_(metric), codebook_(std::move(codebook)), rotation_(std::move(rotation)) {
  if (rotation_.empty()) return;
  const double off = orthogonality_error(rotation_, {dim(), threads});
  VDB_CHECK(off <= kMaxRotationError, "the rotation is not orthogonal: off by " + std::to_string(off));
  const double steps = static_cast<double>(dim() / kKernelSums + kKernelSteps);
  rotation_error_ = off + steps * kFloatUnit * std::sqrt(static_cast<double>(dim())) * (1 + off);
}

ProductQuantizer ProductQuantizer::train(const TrainingRows& rows, const ProductQuantizerParams& params,
                                         CancelToken* cancel) {
  const ProductShape shape{rows.dim, params.m, params.nbits};
  check_shape(shape, params.metric);
  VDB_CHECK(rows.n > 0, "no rows to train on; expected at least 1");
  if (params.opq) check_opq(rows.dim);
  const ProductTraining training{
      .iterations = params.iterations, .seed = params.seed, .threads = params.threads, .cancel = cancel};
  const MatrixView sample{rows.data, rows.n, rows.dim};
  if (!params.opq) {
    return {params.metric, ProductCodebook::train(sample, shape, training, nullptr), {}, params.threads};
  }
  std::vector<float> rotation = train_rotation(sample, shape, training);
  std::vector<float> rotated(rows.n * rows.dim);
  multiply_by_transpose(sample, {rotation.data(), rows.dim, rows.dim}, params.threads, rotated.data());
  const MatrixView turned{rotated.data(), rows.n, rows.dim};
  return {params.metric, ProductCodebook::train(turned, shape, training, nullptr), std::move(rotation), params.threads};
}

void ProductQuantizer::rotate(const float* row, float* out) const noexcept {
  if (rotation_.empty()) {
    std::copy_n(row, dim(), out);
  } else {
    kernels().distance_f32.inner_product.block(row, rotation_.data(), dim(), dim(), out);
  }
}

std::vector<float> ProductQuantizer::rotated(const float* row) const {
  std::vector<float> out(dim());
  rotate(row, out.data());
  return out;
}

void ProductQuantizer::encode(const float* row, std::uint8_t* record) const {
  const std::vector<float> exact = rotated(row);
  codebook_.quantize(exact.data(), record);
  std::vector<float> coded(dim());
  codebook_.reconstruct(record, coded.data());
  double sum = 0;
  for (std::size_t d = 0; d < dim(); ++d) {
    const double difference = static_cast<double>(exact[d]) - static_cast<double>(coded[d]);
    sum += difference * difference;
  }
  double r = std::sqrt(sum);
  // Twice, because under inner product the error of the query's rotation counts by the length of the row.
  if (!rotation_.empty()) r += 2 * rotation_error_ * norm(row, dim()) + kTiny;
  const float radius = rounded_up(r * (1 + static_cast<double>(dim()) * 0x1p-52));
  std::memcpy(record + shape().code_bytes(), &radius, sizeof radius);
}

void ProductQuantizer::decode(const std::uint8_t* record, float* row) const {
  if (rotation_.empty()) {
    codebook_.reconstruct(record, row);
    return;
  }
  std::vector<float> coded(dim());
  codebook_.reconstruct(record, coded.data());
  std::vector<double> sums(dim());
  for (std::size_t i = 0; i < dim(); ++i) {
    const float* const axis = rotation_.data() + i * dim();
    for (std::size_t d = 0; d < dim(); ++d) sums[d] += static_cast<double>(coded[i]) * static_cast<double>(axis[d]);
  }
  std::transform(sums.begin(), sums.end(), row, [](double sum) { return static_cast<float>(sum); });
}

std::vector<unsigned char> ProductQuantizer::serialize() const {
  const Header header{static_cast<std::uint32_t>(shape().dim), static_cast<std::uint32_t>(shape().m),
                      static_cast<std::uint32_t>(shape().nbits), static_cast<std::uint32_t>(metric_),
                      rotation_.empty() ? 0U : 1U};
  std::vector<unsigned char> out;
  for (const Bytes part :
       {bytes_of(std::span(&header, 1)), bytes_of(std::span(codebook_.values())), bytes_of(std::span(rotation_))}) {
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

ProductQuantizer ProductQuantizer::deserialize(Bytes bytes) {
  Header header;
  VDB_CHECK(bytes.size() >= sizeof header, "a product quantizer of " + std::to_string(bytes.size()) +
                                               " bytes; expected at least " + std::to_string(sizeof header));
  std::memcpy(&header, bytes.data(), sizeof header);
  VDB_CHECK(header.metric <= static_cast<std::uint32_t>(Metric::kInnerProduct),
            "unknown metric " + std::to_string(header.metric));
  VDB_CHECK(header.rotates <= 1, "the rotation flag is " + std::to_string(header.rotates) + "; expected 0 or 1");
  const ProductShape shape{header.dim, header.m, header.nbits};
  const auto metric = static_cast<Metric>(header.metric);
  check_shape(shape, metric);
  if (header.rotates == 1) check_opq(shape.dim);
  const std::size_t turning = header.rotates * shape.dim * shape.dim;
  const std::size_t expected = sizeof header + (shape.centroids() * shape.dim + turning) * sizeof(float);
  VDB_CHECK(bytes.size() == expected,
            "a product quantizer of " + std::to_string(bytes.size()) + " bytes; expected " + std::to_string(expected));
  std::vector<float> columns(shape.centroids() * shape.dim);
  std::vector<float> rotation(turning);
  const unsigned char* const values = bytes.data() + sizeof header;
  std::memcpy(columns.data(), values, columns.size() * sizeof(float));
  if (!rotation.empty()) {
    std::memcpy(rotation.data(), values + columns.size() * sizeof(float), rotation.size() * sizeof(float));
  }
  const auto finite = [](float value) { return std::isfinite(value); };
  VDB_CHECK(
      std::all_of(columns.begin(), columns.end(), finite) && std::all_of(rotation.begin(), rotation.end(), finite),
      "a value of the product quantizer is infinite or NaN");
  return {metric, ProductCodebook(shape, std::move(columns)), std::move(rotation), 0};
}

float ProductQuantizer::radius(const std::uint8_t* record) const noexcept {
  float radius;
  std::memcpy(&radius, record + shape().code_bytes(), sizeof radius);
  return radius;
}

ProductQuantizer::Bound ProductQuantizer::partial_distances(const float* query) const {
  std::vector<float> turned = rotated(query);
  const bool l2 = metric_ == Metric::kL2;
  if (!l2) std::transform(turned.begin(), turned.end(), turned.begin(), std::negate<>());
  const PqKernels& pq = kernels().pq;
  const std::size_t n = shape().centroids();
  std::vector<float> partial(shape().m * n);
  for (std::size_t j = 0; j < shape().m; ++j) {
    (l2 ? pq.l2_squared : pq.inner_product)(turned.data() + shape().begin(j), codebook_.columns(j), &partial[j * n]);
  }
  const ProductBound bound({metric_, norm(query, dim()) * (1 + static_cast<double>(dim()) * 0x1p-52), rotation_error_,
                            codebook_.max_norm(), shape().max_width() + shape().m, dim()});
  return {std::move(partial), bound};
}

ProductQuantizer::Query ProductQuantizer::bind(const float* query) const { return {shape(), partial_distances(query)}; }

ProductQuantizer::Query::Query(const ProductShape& shape, Bound bound)
    : code_bytes_(shape.code_bytes()),
      bound_(bound.bound),
      lookup_(kernels().pq.lookup8),
      lookup_x4_(kernels().pq.lookup8_x4),
      lookup_block_(kernels().pq.lookup8_block) {
  if (shape.nbits == 8) {
    table_ = std::move(bound.partial);
    return;
  }
  constexpr std::size_t kNibble = 16;
  table_.resize(code_bytes_ * kNibble * kNibble);
  constexpr float kNothing[kNibble] = {};
  for (std::size_t byte = 0; byte < code_bytes_; ++byte) {
    const float* const low = &bound.partial[2 * byte * kNibble];
    const float* const high = 2 * byte + 1 < shape.m ? low + kNibble : kNothing;
    float* out = &table_[byte * kNibble * kNibble];
    for (std::size_t h = 0; h < kNibble; ++h, out += kNibble) {
      for (std::size_t l = 0; l < kNibble; ++l) out[l] = low[l] + high[h];
    }
  }
}

Estimate ProductQuantizer::Query::finish(float sum, const std::uint8_t* record) const noexcept {
  float radius;
  std::memcpy(&radius, record + code_bytes_, sizeof radius);
  return bound_.of(sum, 0.0F, radius);
}

Estimate ProductQuantizer::Query::estimate(const std::uint8_t* record) const noexcept {
  return finish(lookup_(table_.data(), record, code_bytes_), record);
}

void ProductQuantizer::Query::estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept {
  float sums[4];
  lookup_x4_(table_.data(), records, code_bytes_, sums);
  for (std::size_t i = 0; i < 4; ++i) out[i] = finish(sums[i], records[i]);
}

void ProductQuantizer::Query::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  float sums[kBlockRows];
  for (std::size_t begin = 0; begin < records.n; begin += kBlockRows) {
    const std::uint8_t* const first = records.data + begin * records.stride;
    const std::size_t n = std::min(kBlockRows, records.n - begin);
    lookup_block_(table_.data(), {first, n, records.stride}, code_bytes_, sums);
    for (std::size_t i = 0; i < n; ++i) out[begin + i] = finish(sums[i], first + i * records.stride);
  }
}

}  // namespace vdb
