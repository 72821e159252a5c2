// Seeded vectors for the tests: uniform, small integers (exact in float32, full of ties) and clustered.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numbers>
#include <vector>

#include "base/rng.h"
#include "core/vectors.h"

namespace vdb::testing {

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}

  std::uint64_t next() { return splitmix64(seed_ ^ splitmix64(drawn_++)); }
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
  double unit() { return uniform(seed_, drawn_++); }
  double normal() { return std::sqrt(-2 * std::log(unit())) * std::cos(2 * std::numbers::pi * unit()); }

 private:
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

// A matrix with the norms cosine needs.
struct Vectors {
  Vectors(Metric its_metric, std::size_t its_dim, std::vector<float> its_values)
      : metric(its_metric), dim(its_dim), n(its_values.size() / its_dim), values(std::move(its_values)), norms(n) {
    inverse_norms(first(n), norms.data());
  }

  VectorView first(std::size_t rows) const { return {bytes(), rows, dim, metric, norms.data()}; }
  VectorView view() const { return first(n); }
  const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(values.data()); }
  const float* row(std::size_t i) const { return values.data() + i * dim; }

  Metric metric;
  std::size_t dim;
  std::size_t n;
  std::vector<float> values;
  std::vector<float> norms;
};

inline Vectors uniform_vectors(Metric metric, std::size_t n, std::size_t dim, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n * dim);
  for (float& value : values) value = static_cast<float>(2 * random.unit() - 1);
  return {metric, dim, std::move(values)};
}

// Coordinates from -3 to 3, the first never 0 so that no row is.
inline Vectors integer_vectors(Metric metric, std::size_t n, std::size_t dim, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n * dim);
  for (float& value : values) value = static_cast<float>(random.below(7)) - 3;
  for (std::size_t i = 0; i < n; ++i) values[i * dim] = static_cast<float>(1 + random.below(3));
  return {metric, dim, std::move(values)};
}

// Gaussian clouds around `clusters` centres; rows of one cloud do not follow each other. The centres depend on `dim`
// and `clusters` only, so two calls with other seeds draw from the same clouds.
inline Vectors clustered_vectors(Metric metric, std::size_t n, std::size_t dim, std::uint64_t seed,
                                 std::size_t clusters = 20) {
  Random placing(dim * 1000 + clusters);
  std::vector<double> centres(clusters * dim);
  for (double& value : centres) value = placing.normal();
  Random random(seed);
  std::vector<float> values(n * dim);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t cluster = random.below(clusters);
    for (std::size_t d = 0; d < dim; ++d) {
      values[i * dim + d] = static_cast<float>(centres[cluster * dim + d] + 0.3 * random.normal());
    }
  }
  return {metric, dim, std::move(values)};
}

// `value` as `dtype` stores it, into `out`. What `dtype` cannot hold is cut off; float16 takes normal values and zero.
inline void store(float value, Dtype dtype, std::byte* out) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  std::uint16_t half = static_cast<std::uint16_t>(bits >> 16);
  switch (dtype) {
    case Dtype::kFloat32: std::memcpy(out, &value, sizeof value); return;
    case Dtype::kInt8: *out = static_cast<std::byte>(static_cast<std::int8_t>(value)); return;
    case Dtype::kBfloat16: break;
    case Dtype::kFloat16: {
      const std::uint32_t magnitude = bits & 0x7fffffffU;
      const std::uint32_t rebias = std::uint32_t{127 - 15} << 23;
      half = static_cast<std::uint16_t>((half & 0x8000U) | (magnitude > rebias ? (magnitude - rebias) >> 13 : 0U));
      break;
    }
  }
  std::memcpy(out, &half, sizeof half);
}

// Vectors in another dtype. `dtype` should hold their values exactly where a test compares answers.
struct StoredVectors {
  StoredVectors(const Vectors& vectors, Dtype its_dtype)
      : metric(vectors.metric), dim(vectors.dim), n(vectors.n), dtype(its_dtype), norms(n) {
    const std::size_t width = bytes_per_value(dtype);
    values.resize(vectors.values.size() * width);
    for (std::size_t i = 0; i < vectors.values.size(); ++i) store(vectors.values[i], dtype, values.data() + i * width);
    inverse_norms(view(), norms.data());
  }

  VectorView view() const { return {bytes(), n, dim, metric, norms.data(), dtype}; }
  const std::byte* bytes() const { return values.data(); }

  Metric metric;
  std::size_t dim;
  std::size_t n;
  Dtype dtype;
  std::vector<std::byte> values;
  std::vector<float> norms;
};

inline constexpr Dtype kDtypes[] = {Dtype::kFloat32, Dtype::kFloat16, Dtype::kBfloat16, Dtype::kInt8};
inline constexpr Metric kMetrics[] = {Metric::kL2, Metric::kCosine, Metric::kInnerProduct};

}  // namespace vdb::testing
