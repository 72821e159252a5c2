#include "codec/scalar_quantizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Random;

struct Data {
  std::string name;
  std::size_t dim;
  std::vector<float> rows;
  std::size_t n() const { return rows.size() / dim; }
  const float* row(std::size_t i) const { return rows.data() + i * dim; }
};

Data gaussian(std::size_t n, std::size_t dim, double scale, double shift) {
  Random random(dim);
  Data data{"gaussian x" + std::to_string(scale) + " + " + std::to_string(shift), dim, std::vector<float>(n * dim)};
  for (float& value : data.rows) value = static_cast<float>(shift + scale * random.normal());
  return data;
}

std::vector<Data> all_data() {
  std::vector<Data> all;
  for (const std::size_t dim : {1U, 2U, 3U, 63U, 64U, 65U, 100U, 384U, 1025U}) all.push_back(gaussian(40, dim, 1, 0));
  for (const double scale : {1e-40, 1e-20, 1e-6, 1e6, 1e15}) all.push_back(gaussian(20, 70, scale, 0));
  all.push_back(gaussian(20, 70, 1e-3, 1000));
  all.push_back(gaussian(20, 70, 0, 3));
  all.push_back(gaussian(20, 70, 0, 0));
  Data spiky = gaussian(20, 384, 1e-4, 0);
  for (std::size_t i = 0; i < spiky.n(); ++i) spiky.rows[i * spiky.dim + i] = 100;
  all.push_back(spiky);
  return all;
}

ScalarQuantizer trained(const Data& data, Metric metric) {
  return ScalarQuantizer::train({data.rows.data(), data.n(), data.dim}, {metric}, nullptr);
}

std::vector<std::uint8_t> encoded(const ScalarQuantizer& codec, const Data& data) {
  std::vector<std::uint8_t> records(data.n() * codec.record_bytes());
  for (std::size_t i = 0; i < data.n(); ++i) codec.encode(data.row(i), records.data() + i * codec.record_bytes());
  return records;
}

double exact(Metric metric, const float* row, const float* query, std::size_t dim) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double difference = double{row[d]} - double{query[d]};
    sum += metric == Metric::kL2 ? difference * difference : -double{row[d]} * double{query[d]};
  }
  return sum;
}

constexpr Metric kCodeMetrics[] = {Metric::kL2, Metric::kInnerProduct};

TEST_CASE("the interval of a code always holds the true distance") {
  for (const Data& data : all_data()) {
    CAPTURE(data.name);
    CAPTURE(data.dim);
    for (const Metric metric : kCodeMetrics) {
      const ScalarQuantizer codec = trained(data, metric);
      const std::vector<std::uint8_t> records = encoded(codec, data);
      for (std::size_t q = 0; q < 5; ++q) {  // stored rows as queries: distances of zero among them
        const ScalarQuantizer::Query query = codec.bind(data.row(q));
        std::size_t outside = 0;
        for (std::size_t i = 0; i < data.n(); ++i) {
          const Estimate estimate = query.estimate(records.data() + i * codec.record_bytes());
          const double miss = std::abs(exact(metric, data.row(i), data.row(q), data.dim) - double{estimate.distance});
          outside += miss <= double{estimate.error} ? 0U : 1U;
        }
        CHECK(outside == 0);
      }
    }
  }
}

TEST_CASE("the interval of a code is narrow") {
  const Data data = gaussian(200, 384, 1, 0);
  for (const Metric metric : kCodeMetrics) {
    const ScalarQuantizer codec = trained(data, metric);
    const std::vector<std::uint8_t> records = encoded(codec, data);
    const ScalarQuantizer::Query query = codec.bind(data.row(0));
    for (std::size_t i = 1; i < data.n(); ++i) {
      const Estimate estimate = query.estimate(records.data() + i * codec.record_bytes());
      CHECK(estimate.error < 0.05 * 384);  // the product of two lengths is about 384
    }
  }
}

TEST_CASE("all forms give the same estimates") {
  const Data data = gaussian(150, 100, 1, 0.5);
  for (const Metric metric : kCodeMetrics) {
    const ScalarQuantizer codec = trained(data, metric);
    const std::vector<std::uint8_t> records = encoded(codec, data);
    const std::size_t stride = codec.record_bytes();
    std::vector<ScalarQuantizer::Query> queries;
    for (std::size_t q = 0; q < 5; ++q) queries.push_back(codec.bind(data.row(q)));
    ScalarQuantizer::Batch batch(queries);
    std::vector<Estimate> block(data.n());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      queries[q].estimate_block({records.data(), data.n(), stride}, block.data());
      for (std::size_t i = 0; i + 4 <= data.n(); ++i) {
        const Estimate one = queries[q].estimate(records.data() + i * stride);
        CHECK(one.distance == block[i].distance);
        CHECK(one.error == block[i].error);
        std::array<const std::uint8_t*, 4> four;
        for (std::size_t j = 0; j < 4; ++j) four[j] = records.data() + (i + 3 - j) * stride;
        std::array<Estimate, 4> gathered;
        queries[q].estimate_x4(four.data(), gathered.data());
        CHECK(gathered[3].distance == one.distance);
        CHECK(gathered[3].error == one.error);
      }
    }
    for (const std::size_t n : {1U, 7U, 64U}) {
      std::vector<Estimate> tile(queries.size() * n);
      batch.estimate({records.data() + stride, n, stride}, tile.data());
      for (std::size_t q = 0; q < queries.size(); ++q) {
        for (std::size_t i = 0; i < n; ++i) {
          const Estimate one = queries[q].estimate(records.data() + (i + 1) * stride);
          CHECK(tile[q * n + i].distance == one.distance);
          CHECK(tile[q * n + i].error == one.error);
        }
      }
    }
  }
}

TEST_CASE("a decoded row is within half a step of the row") {
  const Data data = gaussian(50, 100, 2, -1);
  const ScalarQuantizer codec = trained(data, Metric::kL2);
  const std::vector<std::uint8_t> records = encoded(codec, data);
  std::vector<float> row(data.dim);
  for (std::size_t i = 0; i < data.n(); ++i) {
    codec.decode(records.data() + i * codec.record_bytes(), row.data());
    const auto [least, greatest] = std::minmax_element(data.row(i), data.row(i) + data.dim);
    const double step = (double{*greatest} - double{*least} + 2) / 255;  // the mean widens the range a little
    for (std::size_t d = 0; d < data.dim; ++d) CHECK(std::abs(double{row[d]} - double{data.row(i)[d]}) <= 0.51 * step);
  }
}

TEST_CASE("values at the end of float32 give no wrong interval") {
  Data data = gaussian(8, 65, 1, 0);
  for (std::size_t i = 0; i < data.rows.size(); ++i) data.rows[i] = i % 2 == 0 ? 3.0e38F : -3.0e38F;
  for (const Metric metric : kCodeMetrics) {
    const ScalarQuantizer codec = trained(data, metric);
    const std::vector<std::uint8_t> records = encoded(codec, data);
    const ScalarQuantizer::Query query = codec.bind(data.row(0));
    for (std::size_t i = 0; i < data.n(); ++i) {
      const Estimate estimate = query.estimate(records.data() + i * codec.record_bytes());
      const double distance = exact(metric, data.row(i), data.row(0), data.dim);
      // Not outside: an interval with a NaN or an infinity excludes nothing.
      CHECK_FALSE(distance < double{estimate.distance - estimate.error});
      CHECK_FALSE(distance > double{estimate.distance + estimate.error});
    }
  }
}

TEST_CASE("a serialised quantiser is the same quantiser, and anything else is refused") {
  const Data data = gaussian(30, 33, 1, 2);
  for (const Metric metric : kCodeMetrics) {
    const ScalarQuantizer codec = trained(data, metric);
    const std::vector<unsigned char> bytes = codec.serialize();
    const ScalarQuantizer again = ScalarQuantizer::deserialize(bytes);
    CHECK(again.serialize() == bytes);
    CHECK(encoded(again, data) == encoded(codec, data));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      CHECK_THROWS_AS(ScalarQuantizer::deserialize(Bytes(bytes).first(length)), InvalidArgument);
    }
    for (std::size_t i = 0; i < 8; ++i) {
      std::vector<unsigned char> damaged = bytes;
      damaged[i] ^= 0xff;
      CHECK_THROWS_AS(ScalarQuantizer::deserialize(damaged), InvalidArgument);
    }
    std::vector<unsigned char> infinite = bytes;
    infinite[bytes.size() - 1] = 0x7f;
    infinite[bytes.size() - 2] = 0x80;
    CHECK_THROWS_AS(ScalarQuantizer::deserialize(infinite), InvalidArgument);
  }
}

TEST_CASE("training refuses what it cannot learn from and takes no rows at all") {
  CHECK_THROWS_AS(ScalarQuantizer::train({nullptr, 0, 0}, {Metric::kL2}, nullptr), InvalidArgument);
  CHECK_THROWS_AS(ScalarQuantizer::train({nullptr, 0, 65'536}, {Metric::kL2}, nullptr), InvalidArgument);
  CHECK_THROWS_AS(ScalarQuantizer::train({nullptr, 0, 4}, {Metric::kCosine}, nullptr), InvalidArgument);
  CHECK(ScalarQuantizer::train({nullptr, 0, 65'535}, {Metric::kL2}, nullptr).dim() == 65'535);
}

}  // namespace
}  // namespace vdb
