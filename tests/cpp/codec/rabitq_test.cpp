#include "codec/rabitq.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "codec/rabitq_cases.h"

namespace vdb {
namespace {

using testing::Coded;
using testing::kCodeMetrics;
using testing::params_of;
using testing::true_distance;
using testing::uniform_vectors;
using testing::Vectors;

// The formula of the papers in float64 for one centroid, the mean. The direction of the code is that of the decoded
// row, whose length cancels.
double formula(const Coded& coded, std::size_t row, const float* query) {
  const std::size_t dim = coded.codec.dim();
  std::vector<float> decoded(dim);
  coded.codec.decode(coded.record(row), decoded.data());
  double with_row = 0, with_query = 0, row_squared = 0, query_squared = 0, mean_terms = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double mean = double{coded.mean[d]};
    const double code = double{decoded[d]} - mean;
    const double of_row = double{coded.rows.row(row)[d]} - mean;
    const double of_query = double{query[d]} - mean;
    with_row += code * of_row;
    with_query += code * of_query;
    row_squared += of_row * of_row;
    query_squared += of_query * of_query;
    mean_terms += mean * double{query[d]} + of_row * mean;
  }
  const double product = row_squared * with_query / with_row;
  return coded.metric == Metric::kL2 ? row_squared + query_squared - 2 * product : -(mean_terms + product);
}

// Six standard deviations of what an 8-bit query, whose step is at most 1/20 of a coordinate's deviation, may add.
double query_tolerance(const Coded& coded, std::size_t row, const float* query) {
  double row_squared = 0, query_squared = 0;
  for (std::size_t d = 0; d < coded.codec.dim(); ++d) {
    row_squared += std::pow(double{coded.rows.row(row)[d]} - double{coded.mean[d]}, 2);
    query_squared += std::pow(double{query[d]} - double{coded.mean[d]}, 2);
  }
  const double cosine = 0.6;  // of a row and its signs, at least
  return 6 * 2 * 0.05 / std::sqrt(12.0) * std::sqrt(row_squared * query_squared / 64) / cosine;
}

TEST_CASE("an estimate is the float64 formula for the direction of the code, up to the 8 bits of the query") {
  for (const std::size_t dim : {1, 3, 63, 64, 65, 100, 384, 1025}) {
    const Vectors queries = uniform_vectors(Metric::kL2, 5, dim, 77);
    for (std::size_t bits = 1; bits <= 8; ++bits) {
      for (const Metric metric : kCodeMetrics) {
        RabitqParams params = params_of(metric, bits);
        params.query_bits = 8;
        const Coded coded(uniform_vectors(Metric::kL2, 20, dim, dim), params);
        for (std::size_t q = 0; q < queries.n; ++q) {
          const Rabitq::Query query = coded.codec.bind(queries.row(q));
          for (std::size_t i = 0; i < coded.rows.n; ++i) {
            const double distance = double{query.estimate(coded.record(i)).distance};
            CAPTURE(dim);
            CAPTURE(bits);
            CHECK(std::abs(distance - formula(coded, i, queries.row(q))) <
                  query_tolerance(coded, i, queries.row(q)) + 1e-5);
          }
        }
      }
    }
  }
}

TEST_CASE("the first stage of a longer code is the code of one bit") {
  const Vectors rows = uniform_vectors(Metric::kL2, 50, 100, 1);
  const Vectors queries = uniform_vectors(Metric::kL2, 3, 100, 2);
  for (const Metric metric : kCodeMetrics) {
    const Coded one(rows, params_of(metric, 1));
    for (std::size_t bits = 2; bits <= 8; ++bits) {
      const Coded longer(rows, params_of(metric, bits));
      for (std::size_t i = 0; i < rows.n; ++i) {
        CHECK(std::memcmp(one.record(i), longer.record(i), one.codec.record_bytes()) == 0);
        for (std::size_t q = 0; q < queries.n; ++q) {
          const Estimate expected = one.codec.bind(queries.row(q)).estimate(one.record(i));
          const Estimate got = longer.codec.bind(queries.row(q)).signs().estimate(longer.record(i));
          CHECK(got.distance == expected.distance);
          CHECK(got.error == expected.error);
        }
      }
    }
  }
}

template <class Query>
void check_forms(const Query& query, const Coded& coded) {
  const std::size_t stride = coded.codec.record_bytes();
  for (const std::size_t n : {0UL, 1UL, 3UL, 4UL, 63UL, 64UL, 65UL, 130UL}) {
    std::vector<Estimate> block(n + 1, Estimate{-7, -7});
    query.estimate_block({coded.records.data(), n, stride}, block.data());
    CHECK(block[n].distance == -7);
    for (std::size_t i = 0; i < n; ++i) {
      const Estimate one = query.estimate(coded.record(i));
      CHECK(block[i].distance == one.distance);
      CHECK(block[i].error == one.error);
    }
  }
  const std::uint8_t* const four[] = {coded.record(5), coded.record(0), coded.record(129), coded.record(5)};
  Estimate estimates[4];
  query.estimate_x4(four, estimates);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(estimates[i].distance == query.estimate(four[i]).distance);
    CHECK(estimates[i].error == query.estimate(four[i]).error);
  }
}

TEST_CASE("all forms of an estimate are equal, of either stage") {
  for (std::size_t bits = 1; bits <= 8; ++bits) {
    for (const Metric metric : kCodeMetrics) {
      const Coded coded(uniform_vectors(Metric::kL2, 130, 70, bits), params_of(metric, bits));
      const Vectors query = uniform_vectors(Metric::kL2, 1, 70, 99);
      const Rabitq::Query bound = coded.codec.bind(query.row(0));
      check_forms(bound, coded);
      check_forms(bound.signs(), coded);
    }
  }
}

TEST_CASE("estimates are unbiased over the choice of rotation") {
  constexpr std::size_t kSeeds = 600;
  const Vectors rows = uniform_vectors(Metric::kL2, 8, 100, 3);
  const Vectors query = uniform_vectors(Metric::kL2, 1, 100, 4);
  for (const Metric metric : kCodeMetrics) {
    for (const std::size_t bits : {1UL, 2UL, 5UL}) {
      double sum = 0, squares = 0;
      for (std::size_t seed = 0; seed < kSeeds; ++seed) {
        RabitqParams params = params_of(metric, bits);
        params.seed = seed;
        const Coded coded(rows, params);
        const double error = double{coded.codec.bind(query.row(0)).estimate(coded.record(0)).distance} -
                             true_distance(metric, rows.row(0), query.row(0), 100);
        sum += error;
        squares += error * error;
      }
      const double deviation = std::sqrt(squares / kSeeds);
      CAPTURE(bits);
      CHECK(deviation > 0);
      CHECK(std::abs(sum / kSeeds) < 3.5 * deviation / std::sqrt(double{kSeeds}));
    }
  }
}

TEST_CASE("intervals hold as often as epsilon0 standard deviations of a normal variable do") {
  const Vectors rows = uniform_vectors(Metric::kL2, 400, 200, 5);
  const Vectors queries = uniform_vectors(Metric::kL2, 40, 200, 6);
  for (const Metric metric : kCodeMetrics) {
    for (const std::size_t bits : {1UL, 4UL}) {
      for (const float epsilon0 : {0.7F, 1.9F}) {
        RabitqParams params = params_of(metric, bits);
        params.epsilon0 = epsilon0;
        params.query_bits = 2;  // so few that their part of the error counts
        const Coded coded(rows, params);
        std::size_t held = 0, first_stage_held = 0;
        for (std::size_t q = 0; q < queries.n; ++q) {
          const Rabitq::Query query = coded.codec.bind(queries.row(q));
          for (std::size_t i = 0; i < rows.n; ++i) {
            const double distance = true_distance(metric, rows.row(i), queries.row(q), 200);
            const Estimate full = query.estimate(coded.record(i));
            const Estimate first = query.signs().estimate(coded.record(i));
            held += std::abs(distance - double{full.distance}) <= double{full.error} ? 1U : 0U;
            first_stage_held += std::abs(distance - double{first.distance}) <= double{first.error} ? 1U : 0U;
          }
        }
        const double expected = std::erf(double{epsilon0} / std::sqrt(2.0));
        const double pairs = static_cast<double>(queries.n * rows.n);
        CAPTURE(bits);
        CHECK(static_cast<double>(held) / pairs == doctest::Approx(expected).epsilon(0.03));
        CHECK(static_cast<double>(first_stage_held) / pairs == doctest::Approx(expected).epsilon(0.03));
      }
    }
  }
}

// The share of the 10 nearest by true distance among the 10 nearest by estimate.
double recall_at_10(const Coded& coded, const Vectors& queries) {
  constexpr std::size_t kNearest = 10;
  std::size_t found = 0;
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::vector<Estimate> estimates(coded.rows.n);
    coded.codec.bind(queries.row(q))
        .estimate_block({coded.records.data(), coded.rows.n, coded.codec.record_bytes()}, estimates.data());
    std::vector<double> distances(coded.rows.n);
    for (std::size_t i = 0; i < coded.rows.n; ++i) {
      distances[i] = true_distance(coded.metric, coded.rows.row(i), queries.row(q), coded.codec.dim());
    }
    std::vector<std::size_t> by_code(coded.rows.n);
    std::iota(by_code.begin(), by_code.end(), std::size_t{0});
    std::vector<std::size_t> by_truth = by_code;
    std::sort(by_code.begin(), by_code.end(),
              [&](std::size_t a, std::size_t b) { return estimates[a].distance < estimates[b].distance; });
    std::sort(by_truth.begin(), by_truth.end(),
              [&](std::size_t a, std::size_t b) { return distances[a] < distances[b]; });
    for (std::size_t i = 0; i < kNearest; ++i) {
      found += std::count(by_truth.begin(), by_truth.begin() + kNearest, by_code[i]) == 1 ? 1U : 0U;
    }
  }
  return static_cast<double>(found) / static_cast<double>(kNearest * queries.n);
}

TEST_CASE("recall without exact distances rises with the bits, to nearly all") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 2000, 128, 8);
  const Vectors queries = testing::clustered_vectors(Metric::kL2, 50, 128, 9);
  for (const Metric metric : kCodeMetrics) {
    double before = 0;
    for (const std::size_t bits : {1UL, 2UL, 4UL, 6UL, 8UL}) {
      RabitqParams params = params_of(metric, bits);
      params.centroids = 16;
      const double recall = recall_at_10(Coded(rows, params), queries);
      CAPTURE(bits);
      CHECK(recall > before);
      before = recall;
    }
    CHECK(before > 0.95);
  }
}

}  // namespace
}  // namespace vdb
