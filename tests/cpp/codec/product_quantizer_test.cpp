#include "codec/product_quantizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"
#include "codec/opq.h"
#include "data.h"
#include "simd/isa.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::Random;
using testing::uniform_vectors;
using testing::Vectors;

constexpr Metric kCodecMetrics[] = {Metric::kL2, Metric::kInnerProduct};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TrainingRows sample(const Vectors& vectors) { return {vectors.values.data(), vectors.n, vectors.dim}; }

// Every dimension a mixture of a few hidden ones, neighbours in one piece no more alike than others.
Vectors correlated_vectors(std::size_t n, std::size_t dim, std::size_t hidden, std::uint64_t seed) {
  Random mixing(dim);
  std::vector<double> mixture(hidden * dim);
  for (double& value : mixture) value = mixing.normal();
  Random random(seed);
  std::vector<float> values(n * dim);
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> row(dim);
    for (std::size_t h = 0; h < hidden; ++h) {
      const double weight = random.normal() / static_cast<double>(1 + h);
      for (std::size_t d = 0; d < dim; ++d) row[d] += weight * mixture[h * dim + d];
    }
    for (std::size_t d = 0; d < dim; ++d) values[i * dim + d] = static_cast<float>(row[d] + 0.05 * random.normal());
  }
  return {Metric::kL2, dim, std::move(values)};
}

double distance(Metric metric, const float* a, const float* b, std::size_t dim) {
  double l2 = 0;
  double product = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double x = a[d];
    const double y = b[d];
    l2 += (x - y) * (x - y);
    product += x * y;
  }
  return metric == Metric::kL2 ? l2 : -product;
}

std::vector<std::uint8_t> encoded(const ProductQuantizer& quantizer, const Vectors& rows) {
  std::vector<std::uint8_t> records(rows.n * quantizer.record_bytes());
  for (std::size_t i = 0; i < rows.n; ++i) quantizer.encode(rows.row(i), &records[i * quantizer.record_bytes()]);
  return records;
}

double mean_error(const ProductQuantizer& quantizer, const Vectors& rows) {
  const auto records = encoded(quantizer, rows);
  std::vector<float> decoded(rows.dim);
  double sum = 0;
  for (std::size_t i = 0; i < rows.n; ++i) {
    quantizer.decode(&records[i * quantizer.record_bytes()], decoded.data());
    sum += distance(Metric::kL2, rows.row(i), decoded.data(), rows.dim);
  }
  return sum / static_cast<double>(rows.n);
}

ProductQuantizer trained(const Vectors& rows, ProductQuantizerParams params) {
  params.iterations = 8;
  return ProductQuantizer::train(sample(rows), params, nullptr);
}

// Number of estimates whose interval misses the true distance.
std::size_t count_misses(const ProductQuantizer& quantizer, const Vectors& rows, const float* query) {
  const auto records = encoded(quantizer, rows);
  const ProductQuantizer::Query bound = quantizer.bind(query);
  std::size_t misses = 0;
  for (std::size_t i = 0; i < rows.n; ++i) {
    const Estimate estimate = bound.estimate(&records[i * quantizer.record_bytes()]);
    const double exact = distance(quantizer.metric(), rows.row(i), query, rows.dim);
    const bool inside = std::abs(exact - static_cast<double>(estimate.distance)) <= static_cast<double>(estimate.error);
    const bool ordered = estimate.distance > -kInfinity && estimate.error >= 0;
    misses += inside && ordered ? 0U : 1U;
  }
  return misses;
}

TEST_CASE("intervals always hold the true distance, for any dim, m, metric, number of bits and rotation") {
  for (const std::size_t dim : {1U, 3U, 64U, 65U, 384U}) {
    const Vectors rows = clustered_vectors(Metric::kL2, 300, dim, 1);
    const Vectors queries = clustered_vectors(Metric::kL2, 5, dim, 2);
    for (const std::size_t m : {std::size_t{1}, (dim + 6) / 7, dim}) {
      for (const std::size_t nbits : {4U, 8U}) {
        for (const Metric metric : kCodecMetrics) {
          for (const bool opq : {false, true}) {
            if (opq && dim > 3 && m != (dim + 6) / 7) continue;  // slow, and no other code
            if (opq && dim == 384 && (nbits == 8 || metric == Metric::kL2)) continue;
            CAPTURE(dim);
            CAPTURE(m);
            CAPTURE(nbits);
            CAPTURE(opq);
            const auto quantizer = trained(rows, {.metric = metric, .m = m, .nbits = nbits, .opq = opq});
            for (std::size_t q = 0; q < queries.n; ++q) CHECK(count_misses(quantizer, rows, queries.row(q)) == 0);
            CHECK(count_misses(quantizer, rows, rows.row(7)) == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("an estimate is the float64 distance to the decoded row, under l2 with the squared radius on top") {
  const Vectors rows = correlated_vectors(500, 65, 10, 1);
  const Vectors queries = correlated_vectors(10, 65, 10, 2);
  for (const std::size_t nbits : {4U, 8U}) {
    for (const bool opq : {false, true}) {
      for (const Metric metric : kCodecMetrics) {
        const auto quantizer = trained(rows, {.metric = metric, .m = 13, .nbits = nbits, .opq = opq});
        const auto records = encoded(quantizer, rows);
        std::vector<float> decoded(rows.dim);
        for (std::size_t i = 0; i < rows.n; i += 7) {
          const std::uint8_t* const record = &records[i * quantizer.record_bytes()];
          quantizer.decode(record, decoded.data());
          const float* const query = queries.row(i % queries.n);
          const double radius = quantizer.radius(record);
          const double exact =
              distance(metric, decoded.data(), query, rows.dim) + (metric == Metric::kL2 ? radius * radius : 0);
          const double size = distance(Metric::kL2, decoded.data(), query, rows.dim) + radius * radius + 1;
          CHECK(std::abs(static_cast<double>(quantizer.bind(query).estimate(record).distance) - exact) <= 5e-5 * size);
        }
      }
    }
  }
}

TEST_CASE("the three forms of an estimate agree bit for bit") {
  const Vectors rows = uniform_vectors(Metric::kL2, 150, 20, 1);
  for (const std::size_t nbits : {4U, 8U}) {
    const auto quantizer = trained(rows, {.m = 7, .nbits = nbits});
    const auto records = encoded(quantizer, rows);
    const ProductQuantizer::Query query = quantizer.bind(rows.row(3));
    std::vector<Estimate> block(rows.n);
    query.estimate_block({records.data(), rows.n, quantizer.record_bytes()}, block.data());
    for (std::size_t i = 0; i + 4 <= rows.n; ++i) {
      const std::uint8_t* four[4];
      for (std::size_t j = 0; j < 4; ++j) four[j] = &records[(i + (j * 3) % 4) * quantizer.record_bytes()];
      Estimate by_x4[4];
      query.estimate_x4(four, by_x4);
      for (std::size_t j = 0; j < 4; ++j) {
        const Estimate one = query.estimate(four[j]);
        CHECK(std::memcmp(&one, &by_x4[j], sizeof one) == 0);
        CHECK(std::memcmp(&one, &block[i + (j * 3) % 4], sizeof one) == 0);
      }
    }
  }
}

TEST_CASE("the error of reconstruction falls with m and with the number of bits") {
  const Vectors rows = clustered_vectors(Metric::kL2, 2000, 64, 1);
  double before = std::numeric_limits<double>::infinity();
  for (const std::size_t m : {1U, 4U, 16U, 64U}) {
    const double four = mean_error(trained(rows, {.m = m, .nbits = 4}), rows);
    const double eight = mean_error(trained(rows, {.m = m, .nbits = 8}), rows);
    CHECK(eight < four);
    CHECK(four < before);
    before = four;
  }
}

TEST_CASE("the rotation lowers the error on correlated dimensions") {
  const Vectors rows = correlated_vectors(3000, 32, 8, 1);
  const Vectors others = correlated_vectors(1000, 32, 8, 2);
  for (const std::size_t nbits : {4U, 8U}) {
    const double plain = mean_error(trained(rows, {.m = 8, .nbits = nbits}), others);
    const double rotated = mean_error(trained(rows, {.m = 8, .nbits = nbits, .opq = true}), others);
    CHECK(rotated < 0.8 * plain);
  }
}

TEST_CASE("a radius is the length of what a code leaves out") {
  const Vectors rows = uniform_vectors(Metric::kL2, 400, 30, 1);
  const auto quantizer = trained(rows, {.m = 5, .nbits = 4});
  const auto records = encoded(quantizer, rows);
  std::vector<float> decoded(rows.dim);
  for (std::size_t i = 0; i < rows.n; ++i) {
    const std::uint8_t* const record = &records[i * quantizer.record_bytes()];
    quantizer.decode(record, decoded.data());
    const double left = std::sqrt(distance(Metric::kL2, rows.row(i), decoded.data(), rows.dim));
    CHECK(static_cast<double>(quantizer.radius(record)) >= left);
    CHECK(static_cast<double>(quantizer.radius(record)) <= left * (1 + 1e-6));
  }
}

TEST_CASE("a sample smaller than a codebook is met exactly") {
  for (const std::size_t n : {1U, 5U, 200U}) {
    const Vectors rows = uniform_vectors(Metric::kL2, n, 12, 1);
    CHECK(mean_error(trained(rows, {.m = 4}), rows) < 1e-12);
    CHECK(count_misses(trained(rows, {.m = 4, .opq = true}), rows, rows.row(0)) == 0);
  }
}

TEST_CASE("the same codec is trained by any number of threads") {
  const Vectors rows = correlated_vectors(1500, 40, 6, 1);
  for (const bool opq : {false, true}) {
    const auto bytes = [&](std::size_t threads, std::uint64_t seed) {
      return trained(rows, {.m = 10, .nbits = 4, .opq = opq, .seed = seed, .threads = threads}).serialize();
    };
    CHECK(bytes(1, 5) == bytes(2, 5));
    CHECK(bytes(1, 5) == bytes(0, 5));
    CHECK(bytes(1, 5) != bytes(1, 6));
  }
}

TEST_CASE("extreme rows and queries neither crash nor leave their intervals") {
  const std::size_t dim = 24;
  Vectors rows = uniform_vectors(Metric::kL2, 100, dim, 1);
  std::fill_n(rows.values.begin(), dim, 0.0F);
  std::fill_n(rows.values.begin() + static_cast<std::ptrdiff_t>(dim), dim, 1.5F);
  const Vectors original = rows;
  for (const float scale : {1.0F, 1e-42F, 1e-20F, 1e18F, 1e30F}) {
    rows = original;
    for (float& value : rows.values) value *= scale;
    for (const Metric metric : kCodecMetrics) {
      for (const bool opq : {false, true}) {
        CAPTURE(scale);
        CAPTURE(opq);
        const auto quantizer = trained(rows, {.metric = metric, .m = 6, .nbits = 4, .opq = opq});
        for (const float length : {0.0F, 1e-42F, 1.0F, 1e30F}) {
          CAPTURE(length);
          const std::vector<float> query(dim, length);
          CHECK(count_misses(quantizer, rows, query.data()) == 0);
          CHECK(count_misses(quantizer, original, query.data()) == 0);
        }
      }
    }
  }
}

TEST_CASE("constant and repeated rows are encoded without loss") {
  const Vectors rows(Metric::kL2, 10, std::vector<float>(500, 0.25F));
  for (const bool opq : {false, true}) {
    const auto quantizer = trained(rows, {.m = 5, .opq = opq});
    CHECK(mean_error(quantizer, rows) < 1e-12);
    CHECK(count_misses(quantizer, rows, rows.row(0)) == 0);
  }
  const Vectors zeros(Metric::kL2, 10, std::vector<float>(500, 0.0F));
  CHECK(mean_error(trained(zeros, {.m = 5, .opq = true}), zeros) == 0);
}

TEST_CASE("parameters out of range are refused") {
  const Vectors rows = uniform_vectors(Metric::kL2, 20, 6, 1);
  const auto train = [&](const ProductQuantizerParams& params) {
    return ProductQuantizer::train(sample(rows), params, nullptr);
  };
  CHECK_THROWS_AS(train({.m = 0}), InvalidArgument);
  CHECK_THROWS_AS(train({.m = 7}), InvalidArgument);
  CHECK_THROWS_AS(train({.m = 2, .nbits = 6}), InvalidArgument);
  CHECK_THROWS_AS(train({.metric = Metric::kCosine, .m = 2}), InvalidArgument);
  CHECK_THROWS_AS(ProductQuantizer::train({rows.values.data(), 0, 6}, {.m = 2}, nullptr), InvalidArgument);
  std::vector<float> wide(kMaxOpqDim + 1, 1.0F);
  CHECK_THROWS_WITH_AS(ProductQuantizer::train({wide.data(), 1, wide.size()}, {.m = 2, .opq = true}, nullptr),
                       doctest::Contains("opq"), InvalidArgument);
  wide[3] = kInfinity;
  CHECK_THROWS_AS(ProductQuantizer::train({wide.data(), 1, wide.size()}, {.m = 2}, nullptr), InvalidArgument);
}

TEST_CASE("a cancelled token ends a training") {
  const Vectors rows = uniform_vectors(Metric::kL2, 500, 16, 1);
  CancelToken token;
  token.cancel();
  for (const bool opq : {false, true}) {
    CHECK_THROWS_AS(ProductQuantizer::train(sample(rows), {.m = 4, .opq = opq}, &token), Cancelled);
  }
}

TEST_CASE("a codec read back is the one written") {
  const Vectors rows = correlated_vectors(400, 33, 6, 1);
  for (const std::size_t nbits : {4U, 8U}) {
    for (const bool opq : {false, true}) {
      for (const Metric metric : kCodecMetrics) {
        const auto quantizer = trained(rows, {.metric = metric, .m = 9, .nbits = nbits, .opq = opq});
        const auto bytes = quantizer.serialize();
        const auto again = ProductQuantizer::deserialize(bytes);
        CHECK(again.serialize() == bytes);
        const auto records = encoded(quantizer, rows);
        CHECK(encoded(again, rows) == records);
        for (std::size_t i = 0; i < rows.n; i += 13) {
          const Estimate a = quantizer.bind(rows.row(1)).estimate(&records[i * quantizer.record_bytes()]);
          const Estimate b = again.bind(rows.row(1)).estimate(&records[i * quantizer.record_bytes()]);
          CHECK(std::memcmp(&a, &b, sizeof a) == 0);
        }
      }
    }
  }
}

TEST_CASE("every hostile byte string is an invalid argument") {
  const Vectors rows = uniform_vectors(Metric::kL2, 60, 7, 1);
  const auto good = trained(rows, {.m = 3, .nbits = 4, .opq = true}).serialize();
  for (std::size_t length = 0; length < good.size(); ++length) {
    CHECK_THROWS_AS(ProductQuantizer::deserialize(Bytes(good.data(), length)), InvalidArgument);
  }
  auto longer = good;
  longer.push_back(0);
  CHECK_THROWS_AS(ProductQuantizer::deserialize(longer), InvalidArgument);
  const auto with = [&](std::size_t at, std::uint32_t value) {
    auto bytes = good;
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return bytes;
  };
  for (const std::uint32_t value : {0U, 5U, 65'536U, 0x7fffffffU, 0xffffffffU}) {
    for (std::size_t field = 0; field < 20; field += 4) {
      if (value == 5 && field == 4) continue;   // five sub-quantisers are as good as three
      if (value == 0 && field >= 12) continue;  // so is squared l2; and without a rotation the length is wrong
      CHECK_THROWS_AS(ProductQuantizer::deserialize(with(4 * (field / 4), value)), InvalidArgument);
    }
  }
  CHECK_THROWS_AS(ProductQuantizer::deserialize(with(16, 0)), InvalidArgument);
  for (std::size_t at = 20; at + 4 <= good.size(); at += 4) {
    CHECK_THROWS_AS(ProductQuantizer::deserialize(with(at, 0x7fc00000U)), InvalidArgument);  // NaN
    CHECK_THROWS_AS(ProductQuantizer::deserialize(with(at, 0xff800000U)), InvalidArgument);  // -inf
  }
  const std::size_t rotation = 20 + 16 * 7 * sizeof(float);
  CHECK_THROWS_AS(ProductQuantizer::deserialize(with(rotation, 0x40a00000U)), InvalidArgument);  // 5: no rotation
}

TEST_CASE("the interval holds the distance that the kernels of every level give") {
  constexpr std::size_t kDim = 16'384;
  const float constants[] = {0.1F, 0.3F, 0.7F};
  std::vector<float> rows;
  for (const float value : constants) rows.insert(rows.end(), kDim, value);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    const bool l2 = metric == Metric::kL2;
    const ProductQuantizer codec =
        ProductQuantizer::train({rows.data(), std::size(constants), kDim}, {.metric = metric, .m = 64}, nullptr);
    const std::vector<float> query(kDim, l2 ? 0.0F : 1.0F);
    const ProductQuantizer::Query bound = codec.bind(query.data());
    std::vector<std::uint8_t> record(codec.record_bytes());
    for (std::size_t i = 0; i < std::size(constants); ++i) {
      const float* const row = rows.data() + i * kDim;
      codec.encode(row, record.data());
      const Estimate estimate = bound.estimate(record.data());
      for (const Isa isa : available_isas()) {
        CAPTURE(name_of(metric));
        CAPTURE(name_of(isa));
        const DistanceKernels& table = kernels_for(isa).distance_f32;
        const float found = (l2 ? table.l2_squared : table.inner_product).pair(query.data(), row, kDim);
        CHECK(std::abs(double{l2 ? found : -found} - double{estimate.distance}) <= double{estimate.error});
      }
    }
  }
}

}  // namespace
}  // namespace vdb
