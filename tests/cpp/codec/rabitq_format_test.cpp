#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "codec/rabitq_cases.h"
#include "core/dimensions.h"

namespace vdb {
namespace {

using testing::Coded;
using testing::kCodeMetrics;
using testing::params_of;
using testing::true_distance;
using testing::uniform_vectors;
using testing::Vectors;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();

// Where the fields of a serialised codec begin.
constexpr std::size_t kDimAt = 8;
constexpr std::size_t kMetricAt = 12;
constexpr std::size_t kBitsAt = 16;
constexpr std::size_t kQueryBitsAt = 20;
constexpr std::size_t kCentroidsAt = 24;
constexpr std::size_t kEpsilonAt = 28;
constexpr std::size_t kMeanAt = 32;

template <class T>
std::vector<unsigned char> with(std::vector<unsigned char> bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  return bytes;
}

// The codec with other centroids, (n, padded) in rotated space.
Rabitq with_centroids(const Rabitq& codec, const std::vector<float>& centroids, std::size_t n) {
  std::vector<unsigned char> bytes = with(codec.serialize(), kCentroidsAt, static_cast<std::uint32_t>(n));
  bytes.resize(kMeanAt + codec.dim() * sizeof(float));
  const auto* const first = reinterpret_cast<const unsigned char*>(centroids.data());
  bytes.insert(bytes.end(), first, first + centroids.size() * sizeof(float));
  return Rabitq::deserialize(bytes);
}

TEST_CASE("a record of one bit takes 64 bytes at 384 dimensions, and more bits make it longer") {
  const std::size_t expected[] = {64, 124, 172, 220, 268, 316, 364, 412};
  for (std::size_t bits = 1; bits <= 8; ++bits) {
    CHECK(Rabitq::train({nullptr, 0, 384}, params_of(Metric::kL2, bits), nullptr).record_bytes() == expected[bits - 1]);
  }
}

TEST_CASE("a codec comes back from its bytes and codes as before") {
  for (std::size_t bits = 1; bits <= 8; ++bits) {
    RabitqParams params = params_of(Metric::kInnerProduct, bits);
    params.centroids = 5;
    params.query_bits = bits;
    const Coded before(uniform_vectors(Metric::kL2, 60, 70, bits), params);
    const std::vector<unsigned char> bytes = before.codec.serialize();
    const Coded after(before.rows, before.metric, Rabitq::deserialize(bytes));
    CHECK(after.codec.serialize() == bytes);
    CHECK(after.codec.dim() == 70);
    CHECK(after.records == before.records);
    const Estimate expected = before.codec.bind(before.rows.row(1)).estimate(before.record(0));
    const Estimate got = after.codec.bind(after.rows.row(1)).estimate(after.record(0));
    CHECK(got.distance == expected.distance);
    CHECK(got.error == expected.error);
  }
}

TEST_CASE("bytes that are no codec are refused") {
  RabitqParams params = params_of(Metric::kL2, 3);
  params.centroids = 2;
  const Vectors rows = uniform_vectors(Metric::kL2, 20, 3, 1);
  const std::vector<unsigned char> good = Rabitq::train({rows.values.data(), 20, 3}, params, nullptr).serialize();
  CHECK_NOTHROW(Rabitq::deserialize(good));
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_THROWS_AS(Rabitq::deserialize(Bytes(good).first(length)), InvalidArgument);
  }
  std::vector<unsigned char> longer = good;
  longer.push_back(0);
  CHECK_THROWS_AS(Rabitq::deserialize(longer), InvalidArgument);
  const std::uint32_t huge = 0xFFFFFFFFU;
  for (const std::uint32_t bad : {0U, 65'536U, huge}) {
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, kDimAt, bad)), InvalidArgument);
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, kCentroidsAt, bad)), InvalidArgument);
  }
  for (const std::uint32_t bad : {1U, 3U, huge}) {
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, kMetricAt, bad)), InvalidArgument);
  }
  for (const std::uint32_t bad : {0U, 9U, huge}) {
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, kBitsAt, bad)), InvalidArgument);
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, kQueryBitsAt, bad)), InvalidArgument);
  }
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {0.0F, -1.0F, kInfinity, nan}) {
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, kEpsilonAt, bad)), InvalidArgument);
  }
  for (std::size_t at = kMeanAt; at < good.size(); at += sizeof(float)) {
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, at, nan)), InvalidArgument);
    CHECK_THROWS_AS(Rabitq::deserialize(with(good, at, kInfinity)), InvalidArgument);
  }
}

TEST_CASE("parameters outside their ranges are refused") {
  const std::vector<float> rows(8, 1.0F);
  const auto train = [&](std::size_t dim, auto change) {
    RabitqParams params = params_of(Metric::kL2, 1);
    change(params);
    return Rabitq::train({rows.data(), std::min<std::size_t>(dim, 1), dim}, params, nullptr);
  };
  const auto nothing = [](RabitqParams&) {};
  CHECK_NOTHROW(train(8, nothing));
  CHECK_THROWS_AS(train(0, nothing), InvalidArgument);
  CHECK_THROWS_AS(Rabitq::train({nullptr, 0, 65'536}, params_of(Metric::kL2, 1), nullptr), InvalidArgument);
  CHECK_THROWS_AS(train(8, [](RabitqParams& p) { p.metric = Metric::kCosine; }), InvalidArgument);
  for (const std::size_t bad : {std::size_t{0}, std::size_t{9}}) {
    CHECK_THROWS_AS(train(8, [&](RabitqParams& p) { p.bits = bad; }), InvalidArgument);
    CHECK_THROWS_AS(train(8, [&](RabitqParams& p) { p.query_bits = bad; }), InvalidArgument);
  }
  for (const std::size_t bad : {std::size_t{0}, std::size_t{65'536}}) {
    CHECK_THROWS_AS(train(8, [&](RabitqParams& p) { p.centroids = bad; }), InvalidArgument);
  }
  for (const float bad : {0.0F, -1.0F, kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_THROWS_AS(train(8, [&](RabitqParams& p) { p.epsilon0 = bad; }), InvalidArgument);
  }
}

TEST_CASE("training needs finite rows, takes no more centroids than rows, and can be cancelled") {
  const Vectors rows = uniform_vectors(Metric::kL2, 100, 5, 1);
  RabitqParams params = params_of(Metric::kL2, 1);
  for (const std::size_t centroids : {1UL, 4UL}) {
    params.centroids = centroids;
    for (const float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
      std::vector<float> values = rows.values;
      values[17] = bad;
      CHECK_THROWS_AS(Rabitq::train({values.data(), 100, 5}, params, nullptr), InvalidArgument);
    }
  }
  params.centroids = 16;
  const Rabitq three = Rabitq::train({rows.values.data(), 3, 5}, params, nullptr);
  std::uint32_t centroids;
  std::memcpy(&centroids, three.serialize().data() + kCentroidsAt, sizeof centroids);
  CHECK(centroids == 3);
  CancelToken token;
  token.cancel();
  CHECK_THROWS_AS(Rabitq::train({rows.values.data(), 100, 5}, params, &token), Cancelled);
}

TEST_CASE("the same seed trains the same codec with any number of threads, another seed another") {
  const Vectors rows = uniform_vectors(Metric::kL2, 500, 20, 1);
  RabitqParams params = params_of(Metric::kL2, 2);
  params.centroids = 8;
  const auto trained = [&](std::size_t threads, std::uint64_t seed) {
    params.threads = threads;
    params.seed = seed;
    return Rabitq::train({rows.values.data(), rows.n, rows.dim}, params, nullptr).serialize();
  };
  CHECK(trained(1, 3) == trained(2, 3));
  CHECK(trained(1, 3) != trained(1, 4));
}

TEST_CASE("rows around several centroids are estimated as well as around one, wherever the centroids are") {
  constexpr std::size_t kDim = 64;
  const Vectors rows = uniform_vectors(Metric::kL2, 300, kDim, 1);
  const Vectors queries = uniform_vectors(Metric::kL2, 10, kDim, 2);
  const Vectors centroids = uniform_vectors(Metric::kL2, 5, kDim, 3);
  for (const Metric metric : kCodeMetrics) {
    for (const std::size_t bits : {1UL, 2UL, 8UL}) {
      const Coded one(rows, params_of(metric, bits));
      const Coded five(rows, metric, with_centroids(one.codec, centroids.values, centroids.n));
      std::size_t held = 0;
      for (std::size_t q = 0; q < queries.n; ++q) {
        const Rabitq::Query query = five.codec.bind(queries.row(q));
        for (std::size_t i = 0; i < rows.n; ++i) {
          const Estimate estimate = query.estimate(five.record(i));
          const double distance = true_distance(metric, rows.row(i), queries.row(q), kDim);
          held += std::abs(double{estimate.distance} - distance) <= double{estimate.error} ? 1U : 0U;
        }
      }
      CAPTURE(bits);
      CHECK(static_cast<double>(held) / static_cast<double>(rows.n * queries.n) > 0.92);
    }
  }
}

TEST_CASE("a record that names a centroid there is none of reads no other memory") {
  const Vectors rows = uniform_vectors(Metric::kL2, 1, 64, 1);
  const Coded base(rows, params_of(Metric::kL2, 2));
  const std::vector<float> centroids(3 * 64, 0.5F);
  Coded coded(rows, Metric::kL2, with_centroids(base.codec, centroids, 3));
  const std::uint16_t outside = 0xFFFF;
  std::memcpy(coded.records.data() + 64 / 8 + 3 * sizeof(float) + sizeof(std::uint16_t), &outside, sizeof outside);
  const Estimate estimate = coded.codec.bind(rows.row(0)).estimate(coded.record(0));
  CHECK(std::isfinite(estimate.distance));
  std::vector<float> decoded(64);
  coded.codec.decode(coded.record(0), decoded.data());
  for (const float value : decoded) CHECK(std::isfinite(value));
}

TEST_CASE("the distance of a row that is the centroid is exact up to rounding, which the error covers") {
  constexpr std::size_t kDim = 100;
  const Vectors queries = uniform_vectors(Metric::kL2, 20, kDim, 2);
  for (const Metric metric : kCodeMetrics) {
    for (const std::size_t bits : {1UL, 4UL}) {
      const Coded coded(uniform_vectors(Metric::kL2, 1, kDim, 1), params_of(metric, bits));
      for (std::size_t q = 0; q < queries.n; ++q) {
        const Estimate estimate = coded.codec.bind(queries.row(q)).estimate(coded.record(0));
        const double distance = true_distance(metric, coded.rows.row(0), queries.row(q), kDim);
        CHECK(std::abs(double{estimate.distance} - distance) <= double{estimate.error});
        CHECK(estimate.error < 1e-3F);
      }
    }
  }
}

TEST_CASE("zero, constant, duplicate, denormal and huge rows and queries give ordered estimates") {
  for (const std::size_t dim : {1, 3, 64, 65, 100}) {
    std::vector<float> values;
    const float fills[] = {0, 1, 1, 1e-42F, -1e-42F, 1e18F, 1e30F, -1e30F, kMax, -kMax};
    for (const float fill : fills) values.insert(values.end(), dim, fill);
    for (std::size_t d = 0; d < dim; ++d) values.push_back(d % 2 == 0 ? kMax : -kMax);
    const Vectors rows(Metric::kL2, dim, values);
    for (const Metric metric : kCodeMetrics) {
      for (std::size_t bits = 1; bits <= 8; ++bits) {
        // Trained on the rows that do not overflow, on all, and on none.
        for (const std::size_t sample : {std::size_t{5}, rows.n, std::size_t{0}}) {
          RabitqParams params = params_of(metric, bits);
          params.centroids = bits;
          const Coded coded(rows, metric, Rabitq::train({rows.values.data(), sample, dim}, params, nullptr));
          CHECK(std::memcmp(coded.record(1), coded.record(2), coded.codec.record_bytes()) == 0);
          for (std::size_t q = 0; q < rows.n; ++q) {
            const Rabitq::Query query = coded.codec.bind(rows.row(q));
            for (std::size_t i = 0; i < rows.n; ++i) {
              for (const Estimate estimate :
                   {query.estimate(coded.record(i)), query.signs().estimate(coded.record(i))}) {
                CHECK(std::isfinite(estimate.distance));
                CHECK(estimate.error >= 0);
                const double distance = true_distance(metric, rows.row(i), rows.row(q), dim);
                CHECK((std::isinf(estimate.error) || std::abs(distance) < 1e39));
              }
            }
          }
          std::vector<float> decoded(dim);
          for (std::size_t i = 0; i < 5; ++i) {
            coded.codec.decode(coded.record(i), decoded.data());
            for (const float value : decoded) CHECK(std::isfinite(value));
          }
        }
      }
    }
  }
}

double error_of(const Coded& coded) {
  double error = 0;
  std::vector<float> decoded(coded.codec.dim());
  for (std::size_t i = 0; i < coded.rows.n; ++i) {
    coded.codec.decode(coded.record(i), decoded.data());
    error += true_distance(Metric::kL2, coded.rows.row(i), decoded.data(), coded.codec.dim());
  }
  return error;
}

TEST_CASE("a decoded row is the multiple of its code that is nearest to the row") {
  constexpr std::size_t kDim = 192;  // of padded length, so nothing of a code is cut off
  const Vectors rows = uniform_vectors(Metric::kL2, 20, kDim, 4);
  for (const Metric metric : kCodeMetrics) {
    for (const std::size_t bits : {1UL, 2UL, 4UL}) {
      const Coded coded(rows, metric, Rabitq::train({nullptr, 0, kDim}, params_of(metric, bits), nullptr));
      std::vector<float> decoded(kDim);
      for (std::size_t i = 0; i < rows.n; ++i) {
        coded.codec.decode(coded.record(i), decoded.data());
        const double with_row = -true_distance(Metric::kInnerProduct, decoded.data(), rows.row(i), kDim);
        const double with_itself = -true_distance(Metric::kInnerProduct, decoded.data(), decoded.data(), kDim);
        CHECK(with_itself == doctest::Approx(with_row).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("clustered rows are nearer to their codes with a centroid for each cluster") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 500, 64, 1, 8);
  RabitqParams params = params_of(Metric::kL2, 2);
  const double alone = error_of(Coded(rows, params));
  params.centroids = 8;
  CHECK(error_of(Coded(rows, params)) < alone / 2);
}

TEST_CASE("the greatest products of the greatest dimension do not overflow") {
  constexpr std::size_t kDim = kMaxDim;
  const std::vector<float> flat(kDim + 1, 1.0F);  // in rotated space, where every coordinate is then the greatest
  std::vector<float> row(kDim);
  Rotation(kDim, params_of(Metric::kL2, 1).seed).inverse(flat.data(), row.data());
  const double exact = true_distance(Metric::kInnerProduct, row.data(), row.data(), kDim);
  for (const std::size_t bits : {1UL, 2UL, 8UL}) {
    const Rabitq codec = Rabitq::train({nullptr, 0, kDim}, params_of(Metric::kInnerProduct, bits), nullptr);
    std::vector<std::uint8_t> record(codec.record_bytes());
    codec.encode(row.data(), record.data());
    const Rabitq::Query query = codec.bind(row.data());
    CHECK(double{query.estimate(record.data()).distance} == doctest::Approx(exact).epsilon(0.01));
    CHECK(double{query.signs().estimate(record.data()).distance} == doctest::Approx(exact).epsilon(0.01));
  }
}

TEST_CASE("a row too long for float32 comes last and says that nothing is known") {
  const Vectors ordinary = uniform_vectors(Metric::kL2, 10, 64, 1);
  const Rabitq codec = Rabitq::train({ordinary.values.data(), 10, 64}, params_of(Metric::kL2, 4), nullptr);
  const std::vector<float> huge(64, 1e30F);
  std::vector<std::uint8_t> record(codec.record_bytes());
  codec.encode(huge.data(), record.data());
  const Estimate estimate = codec.bind(ordinary.row(0)).estimate(record.data());
  CHECK(estimate.distance == kMax);
  CHECK(estimate.error == kInfinity);
}

TEST_CASE("each bit more makes decoded rows nearer to their rows") {
  const Vectors rows = uniform_vectors(Metric::kL2, 50, 192, 4);  // of padded length, so nothing of a code is cut off
  for (const Metric metric : kCodeMetrics) {
    double before = error_of(Coded(rows, params_of(metric, 1)));
    for (std::size_t bits = 2; bits <= 8; ++bits) {
      const double error = error_of(Coded(rows, params_of(metric, bits)));
      CHECK(error < before / 2.5);
      before = error;
    }
  }
}

// The greatest cosine of `row` with any code of a multiple of it: only where a coordinate crosses a step of the grid
// does the code change.
double best_cosine(const std::vector<float>& row, std::size_t bits) {
  const double top = std::exp2(static_cast<double>(bits) - 1) - 1;
  std::vector<double> scales;
  double squared = 0;
  for (const float value : row) {
    squared += double{value} * double{value};
    for (double step = 1; step <= top; ++step) scales.push_back(step / std::abs(double{value}) * (1 + 1e-9));
  }
  double best = 0;
  for (const double scale : scales) {
    double product = 0, norm = 0;
    for (const float value : row) {
      const double level = std::min(std::floor(std::abs(double{value}) * scale), top) + 0.5;
      product += level * std::abs(double{value});
      norm += level * level;
    }
    best = std::max(best, product / std::sqrt(norm * squared));
  }
  return best;
}

TEST_CASE("the scale of a code is nearly the best of all") {
  constexpr std::size_t kDim = 128;  // not padded, so that a decoded row keeps the whole code
  const Vectors rows = uniform_vectors(Metric::kL2, 20, kDim, 6);
  for (const std::size_t bits : {2UL, 3UL, 4UL, 6UL}) {
    const Coded coded(rows, Metric::kL2, Rabitq::train({nullptr, 0, kDim}, params_of(Metric::kL2, bits), nullptr));
    for (std::size_t i = 0; i < rows.n; ++i) {
      std::vector<float> rotated(kDim);
      Rotation(kDim, 11).apply(rows.row(i), rotated.data());
      std::vector<float> decoded(kDim);
      coded.codec.decode(coded.record(i), decoded.data());
      const double product = -true_distance(Metric::kInnerProduct, rows.row(i), decoded.data(), kDim);
      const double norms = std::sqrt(true_distance(Metric::kInnerProduct, rows.row(i), rows.row(i), kDim) *
                                     true_distance(Metric::kInnerProduct, decoded.data(), decoded.data(), kDim));
      const double lost = 1 - product / norms;
      CAPTURE(bits);
      CHECK(lost < 1.03 * (1 - best_cosine(rotated, bits)) + 1e-6);
    }
  }
}

}  // namespace
}  // namespace vdb
