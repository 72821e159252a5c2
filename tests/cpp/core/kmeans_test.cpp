#include "core/kmeans.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "core/nearest_centroid.h"
#include "core/sample.h"
#include "data.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::integer_vectors;
using testing::uniform_vectors;
using testing::Vectors;

MatrixView matrix(const Vectors& vectors) { return {vectors.values.data(), vectors.n, vectors.dim}; }

double l2_squared(const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double difference = static_cast<double>(a[d]) - static_cast<double>(b[d]);
    sum += difference * difference;
  }
  return sum;
}

// Sum of squared distances to the nearest centroid, in float64.
double inertia_of(const MatrixView& rows, const std::vector<float>& centroids) {
  double total = 0;
  for (std::size_t i = 0; i < rows.n; ++i) {
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < centroids.size() / rows.dim; ++c) {
      nearest = std::min(nearest, l2_squared(rows.row(i), centroids.data() + c * rows.dim, rows.dim));
    }
    total += nearest;
  }
  return total;
}

std::size_t distinct_rows(const std::vector<float>& values, std::size_t dim) {
  std::set<std::vector<float>> rows;
  for (auto p = values.begin(); p != values.end(); p += static_cast<std::ptrdiff_t>(dim)) {
    rows.insert(std::vector<float>(p, p + static_cast<std::ptrdiff_t>(dim)));
  }
  return rows.size();
}

TEST_CASE("every row finds the centroid a float64 search finds, through columns and through tiles") {
  for (const std::size_t dim : {1U, 3U, 48U, 49U, 130U}) {
    for (const std::size_t k : {1U, 5U, 16U, 1100U}) {
      CAPTURE(dim);
      CAPTURE(k);
      const Vectors rows = integer_vectors(Metric::kL2, 301, dim, 1);  // exact, and full of ties
      const Vectors centroids = integer_vectors(Metric::kL2, k, dim, 2);
      std::vector<std::uint32_t> found(rows.n);
      std::vector<float> distances(rows.n);
      NearestCentroid(matrix(centroids)).find(matrix(rows), {2, nullptr}, {found.data(), distances.data()});
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < rows.n; ++i) {
        std::size_t nearest = 0;
        for (std::size_t c = 1; c < k; ++c) {
          if (l2_squared(rows.row(i), centroids.row(c), dim) < l2_squared(rows.row(i), centroids.row(nearest), dim)) {
            nearest = c;
          }
        }
        const double distance = l2_squared(rows.row(i), centroids.row(nearest), dim);
        wrong += found[i] == nearest && static_cast<double>(distances[i]) == distance ? 0U : 1U;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a row whose distances overflow belongs to the first centroid, infinitely far") {
  for (const std::size_t dim : {3U, 70U}) {
    const std::vector<float> row(dim, 3e38F);
    const std::vector<float> centroids(4 * dim, -3e38F);
    std::uint32_t found = 9;
    float distance = 0;
    NearestCentroid({centroids.data(), 4, dim}).find({row.data(), 1, dim}, {}, {&found, &distance});
    CHECK(found == 0);
    CHECK(distance == std::numeric_limits<float>::infinity());
  }
}

TEST_CASE("clouds far apart get a centroid each") {
  constexpr double kNoise = 0.01;
  for (const std::size_t dim : {2U, 64U}) {
    CAPTURE(dim);
    testing::Random random(dim);
    std::vector<float> values;
    for (std::size_t i = 0; i < 2000 * dim; ++i) {
      const auto centre = static_cast<double>(i / dim % 10);
      values.push_back(static_cast<float>(centre * centre + kNoise * random.normal()));
    }
    const MatrixView rows{values.data(), 2000, dim};
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const KMeans best = kmeans(rows, {.k = 10, .iterations = 20, .seed = seed});
      const double inertia = inertia_of(rows, best.centroids);
      CHECK(inertia < 1.1 * kNoise * kNoise * static_cast<double>(values.size()));
      CHECK(inertia == doctest::Approx(best.inertia).epsilon(1e-4));
    }
  }
}

TEST_CASE("the sum of squares falls with every iteration") {
  const Vectors rows = uniform_vectors(Metric::kL2, 3000, 5, 4);
  double before = std::numeric_limits<double>::infinity();
  for (std::size_t iterations = 0; iterations <= 12; ++iterations) {
    const KMeans result = kmeans(matrix(rows), {.k = 37, .iterations = iterations, .seed = 1});
    const double inertia = inertia_of(matrix(rows), result.centroids);
    CHECK(inertia <= before * (1 + 1e-6));
    before = inertia;
  }
}

TEST_CASE("a run ends when nothing changes, and continues from given centroids") {
  const Vectors rows = uniform_vectors(Metric::kL2, 400, 3, 5);
  const KMeans settled = kmeans(matrix(rows), {.k = 8, .iterations = 1000, .seed = 2});
  CHECK(settled.iterations < 1000);
  const KMeans again = kmeans(matrix(rows), {.k = 8, .iterations = 1000, .initial = settled.centroids.data()});
  CHECK(again.iterations <= 2);
  CHECK(again.centroids == settled.centroids);
  const KMeans half = kmeans(matrix(rows), {.k = 8, .iterations = 3, .seed = 2});
  const KMeans rest = kmeans(matrix(rows), {.k = 8, .iterations = 1000, .initial = half.centroids.data()});
  CHECK(rest.centroids == settled.centroids);
}

TEST_CASE("the centroids do not depend on the number of threads, and do on the seed") {
  for (const std::size_t dim : {8U, 70U}) {
    const Vectors rows = clustered_vectors(Metric::kL2, 5000, dim, 6);
    const auto run = [&](std::size_t threads, std::uint64_t seed) {
      return kmeans(matrix(rows), {.k = 300, .iterations = 4, .seed = seed, .threads = threads}).centroids;
    };
    const auto one = run(1, 7);
    CHECK(one == run(2, 7));
    CHECK(one == run(0, 7));
    CHECK(one != run(1, 8));
  }
}

TEST_CASE("a cluster without rows starts again where rows are badly served") {
  Vectors rows = uniform_vectors(Metric::kL2, 500, 4, 8);
  std::vector<float> initial(10 * 4, 100.0F);  // nine of ten equal centroids get no rows
  const KMeans result = kmeans(matrix(rows), {.k = 10, .iterations = 20, .initial = initial.data()});
  CHECK(distinct_rows(result.centroids, 4) == 10);
  const KMeans seeded = kmeans(matrix(rows), {.k = 10, .iterations = 20, .seed = 1});
  CHECK(inertia_of(matrix(rows), result.centroids) < 1.2 * inertia_of(matrix(rows), seeded.centroids));
}

TEST_CASE("fewer distinct rows than centroids are all met exactly") {
  std::vector<float> values;
  for (int i = 0; i < 60; ++i) values.insert(values.end(), {static_cast<float>(i % 3), 1.0F});
  const MatrixView rows{values.data(), 60, 2};
  const KMeans result = kmeans(rows, {.k = 9, .iterations = 10});
  CHECK(inertia_of(rows, result.centroids) == 0);
  const std::vector<float> constant(100, 0.5F);
  CHECK(kmeans({constant.data(), 50, 2}, {.k = 50}).centroids == constant);
}

TEST_CASE("as many centroids as rows are the rows") {
  const Vectors rows = uniform_vectors(Metric::kL2, 64, 3, 9);
  const KMeans result = kmeans(matrix(rows), {.k = 64});
  CHECK(inertia_of(matrix(rows), result.centroids) == 0);
}

TEST_CASE("huge and tiny values neither crash nor give centroids that are not finite") {
  for (const float scale : {1e30F, 3e38F, 1e-40F}) {
    Vectors rows = uniform_vectors(Metric::kL2, 200, 6, 10);
    for (float& value : rows.values) value *= scale;
    const KMeans result = kmeans(matrix(rows), {.k = 12});
    CHECK(std::all_of(result.centroids.begin(), result.centroids.end(), [](float v) { return std::isfinite(v); }));
  }
}

TEST_CASE("parameters out of range and values that are not finite are refused") {
  std::vector<float> values(20, 1.0F);
  const MatrixView rows{values.data(), 10, 2};
  CHECK_THROWS_AS(kmeans(rows, {.k = 0}), InvalidArgument);
  CHECK_THROWS_AS(kmeans(rows, {.k = 11}), InvalidArgument);
  CHECK_THROWS_AS(kmeans({values.data(), 10, 0}, {.k = 1}), InvalidArgument);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_AS(kmeans(rows, {.k = 2}), InvalidArgument);
}

TEST_CASE("a run reports its iterations and can be cancelled between them") {
  const Vectors rows = uniform_vectors(Metric::kL2, 2000, 4, 11);
  std::vector<std::size_t> reports;
  kmeans(matrix(rows), {.k = 50, .iterations = 4}, {.progress = [&](std::size_t done, std::size_t total) {
           CHECK(total == 4);
           reports.push_back(done);
         }});
  CHECK(reports == std::vector<std::size_t>{1, 2, 3, 4});
  CancelToken token;
  const KMeansControl stop_after_two{&token, [&](std::size_t done, std::size_t) {
                                       if (done == 2) token.cancel();
                                     }};
  CHECK_THROWS_AS(kmeans(matrix(rows), {.k = 50, .iterations = 100}, stop_after_two), Cancelled);
  CHECK_THROWS_AS(kmeans(matrix(rows), {.k = 50}, {.cancel = &token}), Cancelled);
}

TEST_CASE("a sample has no repetitions, is sorted and evenly drawn") {
  CHECK(sample_rows(5, 9, 1) == std::vector<std::size_t>{0, 1, 2, 3, 4});
  std::vector<int> drawn(100);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const auto rows = sample_rows(100, 20, seed);
    CHECK(std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end());
    CHECK(rows.size() == 20);
    for (const std::size_t row : rows) ++drawn[row];
  }
  for (const int n : drawn) CHECK(std::abs(n - 400) < 90);  // 5 standard deviations
}

}  // namespace
}  // namespace vdb
