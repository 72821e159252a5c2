#include "codec/rabitq.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "codec/level_code.h"
#include "core/code_packing.h"
#include "core/dimensions.h"
#include "core/kmeans.h"
#include "core/sample.h"

namespace vdb {
namespace {

constexpr std::size_t kMaxBits = 8;
constexpr std::size_t kMaxCentroids = 65'535;  // a record names its centroid in 16 bits

constexpr std::size_t kSampleRows = 256;  // for each centroid; more no longer move it

// What a serialised codec begins with; the mean and the centroids follow.
struct Header {
  std::uint64_t seed;
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint32_t bits;
  std::uint32_t query_bits;
  std::uint32_t centroids;
  float epsilon0;
};
static_assert(sizeof(Header) == 32);

void require(const char* what, std::size_t value, std::size_t max) {
  VDB_CHECK(value >= 1 && value <= max,
            std::string(what) + " must be 1 to " + std::to_string(max) + ", got " + std::to_string(value));
}

void check(const RabitqParams& params, std::size_t dim) {
  require("dim", dim, kMaxDim);
  require("bits", params.bits, kMaxBits);
  require("query_bits", params.query_bits, kMaxBits);
  require("centroids", params.centroids, kMaxCentroids);
  VDB_CHECK(params.metric == Metric::kL2 || params.metric == Metric::kInnerProduct,
            "codes know l2 and ip; normalise the rows for cosine");
  VDB_CHECK(std::isfinite(params.epsilon0) && params.epsilon0 > 0,
            "epsilon0 must be a positive number, got " + std::to_string(params.epsilon0));
}

std::vector<float> mean_of(const TrainingRows& rows, CancelToken* cancel) {
  std::vector<double> sums(rows.dim);
  for (std::size_t i = 0; i < rows.n; ++i) {
    if (cancel != nullptr && cancel->poll()) throw Cancelled();
    for (std::size_t d = 0; d < rows.dim; ++d) sums[d] += double{rows.data[i * rows.dim + d]};
  }
  std::vector<float> mean(rows.dim);
  if (rows.n == 0) return mean;
  for (std::size_t d = 0; d < rows.dim; ++d) mean[d] = static_cast<float>(sums[d] / static_cast<double>(rows.n));
  return mean;
}

// (n, dim); none where the mean alone serves.
std::vector<float> centroids_of(const TrainingRows& rows, const RabitqParams& params, CancelToken* cancel) {
  const std::vector<std::size_t> sample = sample_rows(rows.n, kSampleRows * params.centroids, params.seed);
  const std::size_t k = std::min(params.centroids, sample.size());
  if (k <= 1) return {};
  std::vector<float> values;
  values.reserve(sample.size() * rows.dim);
  for (const std::size_t i : sample) {
    const float* const row = rows.data + i * rows.dim;
    values.insert(values.end(), row, row + rows.dim);
  }
  KMeansParams clustering{k};
  clustering.seed = params.seed;
  clustering.threads = params.threads;
  return kmeans({values.data(), sample.size(), rows.dim}, clustering, {cancel, {}}).centroids;
}

float length(std::span<const float> values) {
  double squared = 0;
  for (const float value : values) squared += double{value} * double{value};
  return static_cast<float>(std::sqrt(squared));
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

}  // namespace

Rabitq::Rabitq(const RabitqParams& params, std::vector<float> mean, std::vector<float> centroids)
    : params_(params),
      rotation_(mean.size(), params.seed),
      mean_(std::move(mean)),
      centroids_(std::move(centroids)),
      mean_norm_(length(mean_)),
      record_bytes_(sign_bytes() + sizeof(SignFactors)) {
  const std::span<const float> all = centroids_;
  for (std::size_t c = 0; c < n_centroids(); ++c)
    centroid_norms_.push_back(length(all.subspan(c * padded(), padded())));
  parts_[0] = {1, static_cast<unsigned>(params_.bits - 1), 0};
  if (params_.bits == 1) return;
  n_parts_ += level_parts(params_.bits, padded(), record_bytes_, &parts_[1]);
  for (const Part& part : parts().subspan(1)) record_bytes_ += packed_bytes(padded(), part.bits);
  record_bytes_ += sizeof(Factors);
}

Rabitq Rabitq::train(const TrainingRows& rows, const RabitqParams& params, CancelToken* cancel) {
  check(params, rows.dim);
  const std::vector<float> mean = mean_of(rows, cancel);
  VDB_CHECK(all_finite(mean), "a value of the rows is not finite; expected finite float32 values");
  const std::vector<float> found = centroids_of(rows, params, cancel);
  const Rotation rotation(rows.dim, params.seed);
  const std::size_t padded_dim = rotation.padded_dim();
  std::vector<float> centroids;
  std::vector<float> rotated(padded_dim);
  for (std::size_t first = 0; first < found.size(); first += rows.dim) {
    for (std::size_t d = 0; d < rows.dim; ++d) rotated[d] = found[first + d] - mean[d];
    rotation.apply(rotated.data(), rotated.data());
    // The rotation of a vector near the end of float32 may overflow; its rows then belong to other centroids.
    if (all_finite(rotated)) centroids.insert(centroids.end(), rotated.begin(), rotated.end());
  }
  if (centroids.empty()) centroids.resize(padded_dim);  // the mean
  return {params, mean, std::move(centroids)};
}

Rabitq Rabitq::deserialize(Bytes bytes) {
  Header header;
  VDB_CHECK(bytes.size() >= sizeof header, "a RaBitQ codec has at least " + std::to_string(sizeof header) +
                                               " bytes, got " + std::to_string(bytes.size()));
  std::memcpy(&header, bytes.data(), sizeof header);
  VDB_CHECK(header.metric <= static_cast<std::uint32_t>(Metric::kInnerProduct),
            "metric must be 0 or 2, got " + std::to_string(header.metric));
  RabitqParams params;
  params.metric = static_cast<Metric>(header.metric);
  params.bits = header.bits;
  params.centroids = header.centroids;
  params.query_bits = header.query_bits;
  params.epsilon0 = header.epsilon0;
  params.seed = header.seed;
  check(params, header.dim);
  const std::uint64_t padded_dim = (std::uint64_t{header.dim} + kCodeBlock - 1) / kCodeBlock * kCodeBlock;
  const std::uint64_t expected = sizeof header + (header.dim + header.centroids * padded_dim) * sizeof(float);
  VDB_CHECK(bytes.size() == expected, "a RaBitQ codec of this shape has " + std::to_string(expected) + " bytes, got " +
                                          std::to_string(bytes.size()));
  std::vector<float> mean(header.dim);
  std::vector<float> centroids(header.centroids * padded_dim);
  const unsigned char* const first = bytes.data() + sizeof header;
  std::memcpy(mean.data(), first, mean.size() * sizeof(float));
  std::memcpy(centroids.data(), first + mean.size() * sizeof(float), centroids.size() * sizeof(float));
  VDB_CHECK(all_finite(mean), "the mean of a RaBitQ codec must be finite");
  VDB_CHECK(all_finite(centroids), "the centroids of a RaBitQ codec must be finite");
  return {params, std::move(mean), std::move(centroids)};
}

std::vector<unsigned char> Rabitq::serialize() const {
  const Header header{params_.seed,
                      static_cast<std::uint32_t>(dim()),
                      static_cast<std::uint32_t>(params_.metric),
                      static_cast<std::uint32_t>(params_.bits),
                      static_cast<std::uint32_t>(params_.query_bits),
                      static_cast<std::uint32_t>(n_centroids()),
                      params_.epsilon0};
  const std::size_t mean_bytes = mean_.size() * sizeof(float);
  std::vector<unsigned char> bytes(sizeof header + mean_bytes + centroids_.size() * sizeof(float));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, mean_.data(), mean_bytes);
  std::memcpy(bytes.data() + sizeof header + mean_bytes, centroids_.data(), centroids_.size() * sizeof(float));
  return bytes;
}

void Rabitq::rotate(const float* row, float* out) const {
  for (std::size_t d = 0; d < dim(); ++d) out[d] = row[d] - mean_[d];
  rotation_.apply(out, out);
}

double Rabitq::spread() const noexcept { return 1 / std::sqrt(static_cast<double>(padded() - 1)); }

}  // namespace vdb
