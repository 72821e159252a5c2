// Seeded vectors for the tests: uniform, small integers (exact in float32, full of ties) and clustered.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
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
    inverse_norms(values.data(), n, dim, norms.data());
  }

  VectorView first(std::size_t rows) const { return {values.data(), rows, dim, metric, norms.data()}; }
  VectorView view() const { return first(n); }
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

inline constexpr Metric kMetrics[] = {Metric::kL2, Metric::kCosine, Metric::kInnerProduct};

}  // namespace vdb::testing
