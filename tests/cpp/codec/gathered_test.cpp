// The forms of a graph walk: distances of records anywhere, and queries bound again and again.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "codec/rabitq_cases.h"
#include "codec/scalar_quantizer.h"

namespace vdb {
namespace {

using testing::Coded;
using testing::kCodeMetrics;
using testing::params_of;
using testing::uniform_vectors;
using testing::Vectors;

constexpr std::size_t kRoom = 16;  // distances may be written up to the next multiple of this

// Every number of slots up to 40, in an order with repetitions.
template <class Query>
void check_gathered(const Query& query, const CodeRows& all, double tolerance) {
  std::vector<float> alone(all.n);
  for (std::size_t i = 0; i < all.n; ++i) {
    const Slot slot = static_cast<Slot>(i);
    float out[kRoom];
    query.distances(all, {&slot, 1}, out);
    alone[i] = out[0];
    const double expected = double{query.estimate(all.data + i * all.stride).distance};
    CHECK(std::abs(double{alone[i]} - expected) <= tolerance);
  }
  for (std::size_t n = 0; n <= 40; ++n) {
    std::vector<Slot> slots(n);
    for (std::size_t i = 0; i < n; ++i) slots[i] = static_cast<Slot>((i * 7 + n) % all.n);
    std::vector<float> distances((n / kRoom + 1) * kRoom);
    std::vector<Estimate> estimates(n + 1, Estimate{-7, -7});
    query.distances(all, slots, distances.data());
    query.estimates(all, slots, estimates.data());
    CHECK(estimates[n].distance == -7);
    for (std::size_t i = 0; i < n; ++i) {
      const Estimate expected = query.estimate(all.data + slots[i] * all.stride);
      CHECK(distances[i] == alone[slots[i]]);
      CHECK(estimates[i].distance == expected.distance);
      CHECK(estimates[i].error == expected.error);
    }
  }
}

TEST_CASE("gathered distances are those of the estimates up to rounding, the same wherever a slot stands") {
  for (const std::size_t dim : {3, 70, 384, 600, 1100}) {
    const Vectors rows = uniform_vectors(Metric::kL2, 19, dim, 1);
    const Vectors queries = uniform_vectors(Metric::kL2, 1, dim, 2);
    for (const Metric metric : kCodeMetrics) {
      const double tolerance = 2e-6 * static_cast<double>(dim);
      for (std::size_t bits = 1; bits <= 8; ++bits) {
        RabitqParams params = params_of(metric, bits);
        params.centroids = 5;
        params.query_bits = bits == 1 ? 4 : bits;
        const Coded coded(rows, params);
        const CodeRows all{coded.records.data(), rows.n, coded.codec.record_bytes()};
        const Rabitq::Query query = coded.codec.bind(queries.row(0));
        CAPTURE(dim);
        CAPTURE(bits);
        check_gathered(query, all, tolerance);
        check_gathered(query.signs(), all, tolerance);
      }
      const ScalarQuantizer codec = ScalarQuantizer::train({rows.values.data(), rows.n, dim}, {metric}, nullptr);
      std::vector<std::uint8_t> records(rows.n * codec.record_bytes());
      for (std::size_t i = 0; i < rows.n; ++i) codec.encode(rows.row(i), records.data() + i * codec.record_bytes());
      check_gathered(codec.bind(queries.row(0)), {records.data(), rows.n, codec.record_bytes()}, 0);
    }
  }
}

TEST_CASE("a query that is bound again forgets the one before, however unlike they are") {
  constexpr std::size_t kDim = 100;
  constexpr float kMax = std::numeric_limits<float>::max();
  const Vectors rows = uniform_vectors(Metric::kL2, 12, kDim, 1);
  const Vectors ordinary = uniform_vectors(Metric::kL2, 2, kDim, 2);
  for (const Metric metric : kCodeMetrics) {
    for (const float fill : {0.0F, 1.0F, 1e-42F, kMax, std::numeric_limits<float>::quiet_NaN()}) {
      const std::vector<float> other(kDim, fill);
      const auto check = [&](const auto& codec, const std::vector<std::uint8_t>& records) {
        const auto fresh = codec.bind(ordinary.row(0));
        auto again = codec.bind(ordinary.row(1));
        again.bind(other.data());
        again.bind(ordinary.row(0));
        for (std::size_t i = 0; i < rows.n; ++i) {
          const Estimate expected = fresh.estimate(records.data() + i * codec.record_bytes());
          const Estimate got = again.estimate(records.data() + i * codec.record_bytes());
          CHECK(got.distance == expected.distance);
          CHECK(got.error == expected.error);
        }
      };
      for (const std::size_t bits : {1UL, 2UL, 7UL}) {
        RabitqParams params = params_of(metric, bits);
        params.centroids = 3;
        const Coded coded(rows, params);
        check(coded.codec, coded.records);
      }
      const ScalarQuantizer codec = ScalarQuantizer::train({rows.values.data(), rows.n, kDim}, {metric}, nullptr);
      std::vector<std::uint8_t> records(rows.n * codec.record_bytes());
      for (std::size_t i = 0; i < rows.n; ++i) codec.encode(rows.row(i), records.data() + i * codec.record_bytes());
      check(codec, records);
    }
  }
}

TEST_CASE("no slots are no distances") {
  const Vectors rows = uniform_vectors(Metric::kL2, 4, 64, 1);
  for (const std::size_t bits : {1UL, 3UL}) {
    const Coded coded(rows, params_of(Metric::kL2, bits));
    const Rabitq::Query query = coded.codec.bind(rows.row(0));
    query.distances({nullptr, 0, coded.codec.record_bytes()}, {}, nullptr);
    query.estimates({nullptr, 0, coded.codec.record_bytes()}, {}, nullptr);
  }
}

TEST_CASE("a row or query that overflows float32 has no finite distance, and harms no other row") {
  constexpr std::size_t kDim = 64;
  const Vectors rows = uniform_vectors(Metric::kL2, 2, kDim, 1);
  const std::vector<float> huge(kDim, std::numeric_limits<float>::max());
  for (const std::size_t bits : {1UL, 4UL}) {
    const Rabitq codec = Rabitq::train({rows.values.data(), rows.n, kDim}, params_of(Metric::kL2, bits), nullptr);
    std::vector<std::uint8_t> records(2 * codec.record_bytes());
    codec.encode(rows.row(0), records.data());
    codec.encode(huge.data(), records.data() + codec.record_bytes());
    const CodeRows all{records.data(), 2, codec.record_bytes()};
    const Slot slots[] = {1, 0, 1};
    float out[kRoom];
    codec.bind(rows.row(1)).distances(all, slots, out);
    CHECK_FALSE(std::isfinite(out[0]));
    CHECK(std::isfinite(out[1]));
    CHECK_FALSE(std::isfinite(out[2]));
    codec.bind(huge.data()).distances(all, slots, out);
    for (std::size_t i = 0; i < 3; ++i) CHECK_FALSE(std::isfinite(out[i]));
  }
}

}  // namespace
}  // namespace vdb
