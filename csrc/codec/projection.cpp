#include "codec/projection.h"

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

constexpr std::size_t kPadding = 16;    // coordinates: a full register of the widest level
constexpr std::size_t kLevels = 8;      // at most, of a record that may be abandoned early
constexpr std::size_t kBlockRows = 32;  // encoded at once: their residuals in double stay in the second-level cache
// Of |P P^T - I|; float32 rounding of a basis costs about 1e-6, so beyond this the rows are no orthonormal basis.
constexpr double kMaxDefect = 1e-3;
constexpr double kLeastFloat = 0x1p-149;
constexpr float kUnderflow = std::numeric_limits<float>::min();  // what underflow can take from a distance
constexpr float kRoundUp = 1 + 0x1p-19F;                         // more than the roundings of an error's own terms
constexpr Estimate kUnknown{std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity()};

std::size_t padded_to(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

double squared_norm(const float* values, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += double{values[i]} * double{values[i]};
  return sum;
}

// |P P^T - I| by its Frobenius norm, in double: a few rows against the columns of all later ones.
double defect_of(const float* basis, std::size_t width, std::size_t dim) {
  constexpr std::size_t kRows = 4;
  std::vector<float> columns(width * dim);
  for (std::size_t r = 0; r < width; ++r) {
    for (std::size_t d = 0; d < dim; ++d) columns[d * width + r] = basis[r * dim + d];
  }
  double sum = 0;
  std::vector<double> gram(kRows * width);
  for (std::size_t first = 0; first < width; first += kRows) {
    const std::size_t rows = std::min(kRows, width - first);
    std::fill(gram.begin(), gram.end(), 0.0);
    for (std::size_t d = 0; d < dim; ++d) {
      const float* const column = columns.data() + d * width;
      for (std::size_t r = 0; r < rows; ++r) {
        const double factor = double{column[first + r]};
        double* const products = gram.data() + r * width;
        for (std::size_t j = first; j < width; ++j) products[j] += factor * double{column[j]};
      }
    }
    for (std::size_t r = 0; r < rows; ++r) {
      gram[r * width + first + r] -= 1;
      sum += gram[r * width + first + r] * gram[r * width + first + r];
      for (std::size_t j = first + r + 1; j < width; ++j) sum += 2 * gram[r * width + j] * gram[r * width + j];
    }
  }
  return std::sqrt(sum);
}

struct Header {
  std::uint32_t dim;
  std::uint32_t width;
  std::uint32_t metric;
  std::uint32_t lossless;
  double defect;
};

void check_shape(std::size_t width, std::size_t dim) {
  VDB_CHECK(dim >= 1 && dim <= kMaxDim,
            "a vector has 1 to " + std::to_string(kMaxDim) + " dimensions, got " + std::to_string(dim));
  VDB_CHECK(width >= 1 && width <= dim,
            "a basis has 1 to " + std::to_string(dim) + " rows, got " + std::to_string(width));
}

}  // namespace

Projection::Projection(Panels basis, Panels transposed, double defect, const ProjectionParams& params)
    : basis_(std::move(basis)),
      transposed_(std::move(transposed)),
      defect_(defect),
      params_(params),
      padded_(padded_to(width(), kPadding)),
      level_width_(params.lossless ? padded_ : padded_to((padded_ + kLevels - 1) / kLevels, kPadding)),
      levels_((padded_ + level_width_ - 1) / level_width_) {}

Projection Projection::of(const float* basis, std::size_t width, std::size_t dim, double defect,
                          const ProjectionParams& params) {
  return {Panels::of(basis, width, dim), width < dim ? Panels::of_transpose(basis, width, dim) : Panels(), defect,
          params};
}

Projection Projection::from_basis(const float* basis, std::size_t width, std::size_t dim,
                                  const ProjectionParams& params) {
  check_shape(width, dim);
  VDB_CHECK(params.metric != Metric::kCosine, "codes know l2 and ip; normalise the rows for cosine");
  const double defect = defect_of(basis, width, dim);
  VDB_CHECK(defect <= kMaxDefect, "the rows of a basis must be orthonormal; these are off by " +
                                      std::to_string(defect) + ", at most 0.001 is rounding");
  return of(basis, width, dim, defect, params);
}

Projection Projection::deserialize(Bytes bytes) {
  Header header;
  VDB_CHECK(bytes.size() >= sizeof header, "a projection has at least 24 bytes, got " + std::to_string(bytes.size()));
  std::memcpy(&header, bytes.data(), sizeof header);
  check_shape(header.width, header.dim);
  VDB_CHECK(header.metric == static_cast<std::uint32_t>(Metric::kL2) ||
                header.metric == static_cast<std::uint32_t>(Metric::kInnerProduct),
            "metric must be 0 or 2, got " + std::to_string(header.metric));
  VDB_CHECK(header.lossless <= 1, "lossless must be 0 or 1, got " + std::to_string(header.lossless));
  VDB_CHECK(header.defect >= 0 && header.defect <= kMaxDefect,
            "the defect must be 0 to 0.001, got " + std::to_string(header.defect));
  const std::size_t values = std::size_t{header.width} * header.dim;
  VDB_CHECK(
      bytes.size() == sizeof header + values * sizeof(float),
      "a basis of " + std::to_string(values) + " values was expected, got " + std::to_string(bytes.size()) + " bytes");
  std::vector<float> basis(values);
  std::memcpy(basis.data(), bytes.data() + sizeof header, values * sizeof(float));
  for (std::size_t r = 0; r < header.width; ++r) {
    // The defect bounds each |row|^2 - 1; written so that a NaN fails.
    const double off = std::abs(squared_norm(basis.data() + r * header.dim, header.dim) - 1);
    VDB_CHECK(off <= kMaxDefect, "row " + std::to_string(r) + " of the basis must have length 1");
  }
  return of(basis.data(), header.width, header.dim, header.defect,
            {static_cast<Metric>(header.metric), header.lossless == 1});
}

std::vector<unsigned char> Projection::serialize() const {
  const Header header{static_cast<std::uint32_t>(dim()), static_cast<std::uint32_t>(width()),
                      static_cast<std::uint32_t>(params_.metric), params_.lossless ? 1U : 0U, defect_};
  std::vector<unsigned char> bytes(sizeof header + width() * dim() * sizeof(float));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::vector<float> row(dim());
  for (std::size_t r = 0; r < width(); ++r) {
    basis_.copy_row(r, row.data());
    std::memcpy(bytes.data() + sizeof header + r * dim() * sizeof(float), row.data(), dim() * sizeof(float));
  }
  return bytes;
}

// Coordinates (n, padded) of n rows, n at most kBlockRows.
void Projection::project(const float* rows, std::size_t n, float* coordinates, Factors* factors) const {
  std::vector<double> exact(n * width());
  basis_.multiply(rows, n, dim(), exact.data());
  for (std::size_t i = 0; i < n; ++i) {
    float* const own = coordinates + i * padded_;
    for (std::size_t j = 0; j < width(); ++j) own[j] = to_float(exact[i * width() + j]);
    std::fill(own + width(), own + padded_, 0.0F);
  }
  std::vector<double> restored(n * transposed_.rows());
  transposed_.multiply(coordinates, n, padded_, restored.data());
  for (std::size_t i = 0; i < n; ++i) {
    const double* const missing = restored.empty() ? nullptr : restored.data() + i * dim();
    factors[i] = factors_of(rows + i * dim(), missing, coordinates + i * padded_);
  }
}

// What is known of a row from its coordinates and from `restored`, P^T times these, or null where the basis is square;
// then |x - P^T y| is |E' x + P^T (P x - y)| with |E'| the defect.
Projection::Factors Projection::factors_of(const float* row, const double* restored, float* coordinates) const {
  const double length = std::sqrt(squared_norm(row, dim()));
  const double norm = std::sqrt(squared_norm(coordinates, width()));
  // The sums of |p_j| |x_j| behind each coordinate are at most |x|, those behind each restored value |column| |y|.
  const double spread = 1.01 * std::sqrt(static_cast<double>(width()));
  const double projected = basis_.error() * spread * length + 2 * kFloatUnit * norm;
  double missing = 0;
  double restoring = 0;
  if (restored != nullptr) {
    for (std::size_t d = 0; d < dim(); ++d) {
      const double difference = double{row[d]} - restored[d];
      missing += difference * difference;
    }
    restoring = transposed_.error() * spread * norm;
  } else {
    restoring = 1.01 * (defect_ * length + projected);
  }
  const double underflow = static_cast<double>(dim()) * static_cast<double>(width()) * kLeastFloat;
  const double inside = projected + defect_ * norm;
  const Factors factors{
      rounded_up(norm), rounded_up(std::sqrt(missing)),
      rounded_up(1.01 * std::max(inside, restoring) + 2 * kFloatUnit * std::sqrt(missing) + underflow)};
  if (std::isfinite(factors.norm) && std::isfinite(factors.tail) && std::isfinite(factors.slack)) return factors;
  std::fill_n(coordinates, width(), 0.0F);
  return {0, 0, std::numeric_limits<float>::infinity()};
}

// The lengths of the coordinates behind each level but the last.
void Projection::suffixes(const float* coordinates, float* out) const {
  double sum = 0;
  for (std::size_t level = levels_ - 1; level > 0; --level) {
    const std::size_t begin = level * level_width_;
    sum += squared_norm(coordinates + begin, std::min(level_width_, padded_ - begin));
    out[level - 1] = rounded_up(std::sqrt(sum));
  }
}

void Projection::encode_block(const float* rows, std::size_t n, std::uint8_t* records) const {
  std::vector<float> coordinates(std::min(n, kBlockRows) * padded_);
  std::vector<float> rests(levels_ - 1);
  std::array<Factors, kBlockRows> factors;
  for (std::size_t begin = 0; begin < n; begin += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, n - begin);
    project(rows + begin * dim(), count, coordinates.data(), factors.data());
    for (std::size_t i = 0; i < count; ++i) {
      const float* const own = coordinates.data() + i * padded_;
      suffixes(own, rests.data());
      std::uint8_t* record = records + (begin + i) * record_bytes();
      std::memcpy(record, own, padded_ * sizeof(float));
      record += padded_ * sizeof(float);
      std::copy_n(reinterpret_cast<const std::uint8_t*>(rests.data()), rests.size() * sizeof(float), record);
      std::memcpy(record + rests.size() * sizeof(float), &factors[i], sizeof(Factors));
    }
  }
}

void Projection::decode(const std::uint8_t* record, float* row) const {
  std::vector<float> direction(dim());
  std::vector<double> sums(dim());
  for (std::size_t r = 0; r < width(); ++r) {
    float coordinate;
    std::memcpy(&coordinate, record + r * sizeof(float), sizeof coordinate);
    basis_.copy_row(r, direction.data());
    for (std::size_t d = 0; d < dim(); ++d) sums[d] += double{coordinate} * double{direction[d]};
  }
  for (std::size_t d = 0; d < dim(); ++d) row[d] = to_float(sums[d]);
}

Projection::Query Projection::bind(const float* query) const { return std::move(bind_block(query, 1).front()); }

std::vector<Projection::Query> Projection::bind_block(const float* queries, std::size_t n) const {
  std::vector<Query> bound;
  bound.reserve(n);
  std::vector<float> coordinates(std::min(n, kBlockRows) * padded_);
  std::array<Factors, kBlockRows> factors;
  for (std::size_t begin = 0; begin < n; begin += kBlockRows) {
    const std::size_t count = std::min(kBlockRows, n - begin);
    project(queries + begin * dim(), count, coordinates.data(), factors.data());
    for (std::size_t i = 0; i < count; ++i) {
      Query query(*this);
      std::copy_n(coordinates.data() + i * padded_, padded_, query.coordinates_.data());
      query.factors_ = factors[i];
      suffixes(query.coordinates_.data(), query.suffixes_.data());
      bound.push_back(std::move(query));
    }
  }
  return bound;
}

Projection::Query::Query(const Projection& codec)
    : codec_(&codec),
      pair_(codec.forms().pair),
      x4_(codec.forms().x4),
      coordinates_(codec.padded_, 0.0F),
      suffixes_(codec.levels_ - 1, 0.0F),
      relative_(rounded_up(kernel_error(codec.padded_) + ranking_error(codec.dim()) + 1.01 * codec.defect_ +
                           4 * kLevels * kFloatUnit)) {}

const DistanceKernels::Forms& Projection::forms() const {
  const DistanceKernels& table = kernels().distance_f32;
  return params_.metric == Metric::kL2 ? table.l2_squared : table.inner_product;
}

// |x - q|^2 is |y - z|^2, what rounding makes of it, the product of y - z with the tails (which lie outside the basis
// up to the slacks), and the tails' own squared distance. The rounding of the whole distance grows with all of them.
Estimate Projection::Query::finish_l2(const Factors& row, const Partial& partial) const noexcept {
  const float rest = partial.row_rest + partial.query_rest;
  const float slack = row.slack + factors_.slack;
  const float tails = row.tail * row.tail + factors_.tail * factors_.tail;
  const float rests = partial.row_rest * partial.row_rest + partial.query_rest * partial.query_rest;
  const float distance = partial.core + rests + tails;
  const float reach = partial.core + rest * rest;
  const float inside = 2 * std::sqrt(reach * (1 + relative_)) * slack;
  const float across = 2 * (row.tail + row.slack) * (factors_.tail + factors_.slack);
  const float own = 2 * (row.tail * row.slack + factors_.tail * factors_.slack) + slack * slack;
  const float beyond = inside + across + own;
  const float error = relative_ * (reach + tails + beyond) + 2 * partial.row_rest * partial.query_rest + beyond;
  return {distance, error};
}

Estimate Projection::Query::finish_inner_product(const Factors& row, const Partial& partial) const noexcept {
  const float inside = row.norm * factors_.slack + factors_.norm * row.slack;
  const float across = (row.tail + row.slack) * (factors_.tail + factors_.slack);
  const float lengths = (row.norm + row.tail + row.slack) * (factors_.norm + factors_.tail + factors_.slack);
  const float error = relative_ * lengths + partial.row_rest * partial.query_rest + inside + across;
  return {-partial.core, error};
}

Estimate Projection::Query::finish(const std::uint8_t* record, const Partial& partial) const noexcept {
  Factors row;
  std::memcpy(&row, record + codec_->record_bytes() - sizeof row, sizeof row);
  const bool l2 = codec_->params_.metric == Metric::kL2;
  const Estimate estimate = l2 ? finish_l2(row, partial) : finish_inner_product(row, partial);
  const float error = estimate.error * kRoundUp + kUnderflow;
  // Overflow, and records that overflowed, make infinities and NaN: nothing is known then.
  const bool known = std::isfinite(estimate.distance) && error < std::numeric_limits<float>::infinity();
  return known ? Estimate{estimate.distance, error} : kUnknown;
}

Estimate Projection::Query::estimate(const std::uint8_t* record) const noexcept {
  return finish(record, {pair_(coordinates_.data(), record, codec_->padded_), 0, 0});
}

void Projection::Query::estimate_x4(const std::uint8_t* const* records, Estimate* out) const noexcept {
  const void* const rows[4] = {records[0], records[1], records[2], records[3]};
  std::array<float, 4> cores;
  x4_(coordinates_.data(), rows, codec_->padded_, cores.data());
  for (std::size_t i = 0; i < 4; ++i) out[i] = finish(records[i], {cores[i], 0, 0});
}

void Projection::Query::estimate_block(const CodeRows& records, Estimate* out) const noexcept {
  // One after the other: four records side by side are read at a third of the bandwidth of memory.
  for (std::size_t i = 0; i < records.n; ++i) out[i] = estimate(records.data + i * records.stride);
}

bool Projection::Query::within(const std::uint8_t* record, float threshold, Estimate& out,
                               std::size_t& dims_read) const noexcept {
  const std::size_t padded = codec_->padded_;
  float core = 0;
  for (std::size_t level = 0; level < codec_->levels_; ++level) {
    const std::size_t begin = level * codec_->level_width_;
    const std::size_t count = std::min(codec_->level_width_, padded - begin);
    core += pair_(coordinates_.data() + begin, record + begin * sizeof(float), count);
    dims_read += count;
    Partial partial{core, 0, 0};
    if (level + 1 < codec_->levels_) {
      std::memcpy(&partial.row_rest, record + (padded + level) * sizeof(float), sizeof(float));
      partial.query_rest = suffixes_[level];
    }
    out = finish(record, partial);
    if (out.distance - out.error > threshold) return false;
  }
  return true;
}

Projection::Batch::Batch(std::span<const Query> queries)
    : queries_(queries),
      width_(queries.front().codec_->padded_),
      tile_(queries.front().codec_->forms().tile),
      coordinates_(queries.size() * width_, 0.0F),
      rows_(kRows * width_, 0.0F),
      cores_(queries.size() * kRows, 0.0F) {
  for (std::size_t q = 0; q < queries.size(); ++q) {
    std::copy_n(queries[q].coordinates_.data(), width_, coordinates_.data() + q * width_);
  }
}

void Projection::Batch::estimate(const CodeRows& records, Estimate* out) noexcept {
  VDB_ASSERT(records.n <= kRows);
  if (queries_.size() == 1) {
    queries_.front().estimate_block(records, out);
    return;
  }
  for (std::size_t i = 0; i < records.n; ++i) {
    std::memcpy(rows_.data() + i * width_, records.data + i * records.stride, width_ * sizeof(float));
  }
  tile_({coordinates_.data(), queries_.size()}, {rows_.data(), records.n}, width_, cores_.data());
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    for (std::size_t i = 0; i < records.n; ++i) {
      const std::size_t at = q * records.n + i;
      out[at] = queries_[q].finish(records.data + i * records.stride, {cores_[at], 0, 0});
    }
  }
}

}  // namespace vdb
