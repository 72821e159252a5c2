#include "codec/projection.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "data.h"
#include "simd/isa.h"

namespace vdb {
namespace {

using testing::Random;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Metric kCodeMetrics[] = {Metric::kL2, Metric::kInnerProduct};

using Matrix = std::vector<float>;
using Codes = std::vector<std::uint8_t>;

// (width, dim) orthonormal rows, Gram-Schmidt twice in double.
Matrix random_basis(std::size_t width, std::size_t dim, std::uint64_t seed) {
  Random random(seed);
  std::vector<double> rows(width * dim);
  for (double& value : rows) value = random.normal();
  for (std::size_t r = 0; r < width; ++r) {
    double* const own = rows.data() + r * dim;
    for (std::size_t before = 0; before < 2 * r; ++before) {
      const double* const other = rows.data() + before % r * dim;
      double product = 0;
      for (std::size_t d = 0; d < dim; ++d) product += own[d] * other[d];
      for (std::size_t d = 0; d < dim; ++d) own[d] -= product * other[d];
    }
    double squared = 0;
    for (std::size_t d = 0; d < dim; ++d) squared += own[d] * own[d];
    for (std::size_t d = 0; d < dim; ++d) own[d] /= std::sqrt(squared);
  }
  return {rows.begin(), rows.end()};
}

// n rows in the span of the basis, energy falling along it, plus `noise` in every direction.
Matrix rows_near(const Matrix& basis, std::size_t dim, std::size_t n, double noise, std::uint64_t seed) {
  Random random(seed);
  Matrix rows(n * dim);
  const std::size_t width = basis.size() / dim;
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<double> row(dim);
    for (std::size_t r = 0; r < width; ++r) {
      const double weight = random.normal() / std::sqrt(1.0 + static_cast<double>(r));
      for (std::size_t d = 0; d < dim; ++d) row[d] += weight * double{basis[r * dim + d]};
    }
    for (std::size_t d = 0; d < dim; ++d) rows[i * dim + d] = static_cast<float>(row[d] + noise * random.normal());
  }
  return rows;
}

double true_distance(Metric metric, const float* a, const float* b, std::size_t dim) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double x = double{a[d]};
    const double y = double{b[d]};
    sum += metric == Metric::kL2 ? (x - y) * (x - y) : -x * y;
  }
  return sum;
}

Codes encoded(const Projection& codec, const Matrix& rows) {
  const std::size_t n = rows.size() / codec.dim();
  Codes records(n * codec.record_bytes());
  codec.encode_block(rows.data(), n, records.data());
  return records;
}

// How many intervals of the codec miss the true distance, over all pairs of rows and queries.
std::size_t missed(const Projection& codec, Metric metric, const Matrix& rows, const Matrix& queries) {
  const std::size_t dim = codec.dim();
  const Codes records = encoded(codec, rows);
  std::size_t misses = 0;
  for (std::size_t q = 0; q * dim < queries.size(); ++q) {
    const Projection::Query query = codec.bind(queries.data() + q * dim);
    for (std::size_t i = 0; i * dim < rows.size(); ++i) {
      const Estimate estimate = query.estimate(records.data() + i * codec.record_bytes());
      const double truth = true_distance(metric, queries.data() + q * dim, rows.data() + i * dim, dim);
      misses += std::abs(truth - double{estimate.distance}) <= double{estimate.error} ? 0 : 1;
    }
  }
  return misses;
}

struct Shape {
  std::size_t width;
  std::size_t dim;
};

constexpr Shape kShapes[] = {{1, 1},   {1, 2},    {2, 3},     {3, 17},    {16, 16},
                             {17, 17}, {40, 100}, {130, 130}, {20, 1100}, {3, 65'535}};

TEST_CASE("the interval holds the true distance, whatever the basis misses") {
  for (const auto [width, dim] : kShapes) {
    const Matrix basis = random_basis(width, dim, dim);
    for (const Metric metric : kCodeMetrics) {
      for (const bool lossless : {false, true}) {
        const Projection codec = Projection::from_basis(basis.data(), width, dim, {metric, lossless});
        for (const double noise : {0.0, 1e-4, 1.0}) {
          CAPTURE(dim);
          CAPTURE(width);
          CAPTURE(name_of(metric));
          CAPTURE(noise);
          const Matrix rows = rows_near(basis, dim, 12, noise, 1);
          CHECK(missed(codec, metric, rows, rows_near(basis, dim, 3, 0, 2)) == 0);
          CHECK(missed(codec, metric, rows, rows_near(basis, dim, 3, 0.5, 3)) == 0);
          CHECK(missed(codec, metric, rows, rows) == 0);
        }
      }
    }
  }
}

// The halves of a row have one value each: two directions span all such rows.
Matrix basis_of_halves(std::size_t dim) {
  Matrix basis(2 * dim);
  const auto value = static_cast<float>(1 / std::sqrt(static_cast<double>(dim / 2)));
  std::fill_n(basis.begin(), dim / 2, value);
  std::fill(basis.end() - static_cast<std::ptrdiff_t>(dim / 2), basis.end(), value);
  return basis;
}

TEST_CASE("the interval holds the distance that the kernels of every level give") {
  for (const std::size_t dim : {16'384U, 65'528U}) {
    const Matrix basis = basis_of_halves(dim);
    for (const Metric metric : kCodeMetrics) {
      const Projection codec = Projection::from_basis(basis.data(), 2, dim, {metric, true});
      const bool l2 = metric == Metric::kL2;
      const Matrix query(dim, l2 ? 0.0F : 1.0F);
      const Projection::Query bound = codec.bind(query.data());
      Codes record(codec.record_bytes());
      for (const float value : {0.1F, 0.3F, 0.7F}) {
        const Matrix row(dim, value);
        codec.encode(row.data(), record.data());
        const Estimate estimate = bound.estimate(record.data());
        for (const Isa isa : available_isas()) {
          CAPTURE(dim);
          CAPTURE(name_of(metric));
          CAPTURE(name_of(isa));
          const DistanceKernels& table = kernels_for(isa).distance_f32;
          const float found = (l2 ? table.l2_squared : table.inner_product).pair(query.data(), row.data(), dim);
          CHECK(std::abs(double{l2 ? found : -found} - double{estimate.distance}) <= double{estimate.error});
        }
      }
    }
  }
}

TEST_CASE("rows within the basis keep their distances, and their intervals are narrow") {
  constexpr std::size_t kWidth = 60;
  constexpr std::size_t kDim = 700;
  const Matrix basis = random_basis(kWidth, kDim, 5);
  const Matrix rows = rows_near(basis, kDim, 40, 0, 6);
  const Matrix queries = rows_near(basis, kDim, 5, 0, 7);
  for (const Metric metric : kCodeMetrics) {
    const Projection codec = Projection::from_basis(basis.data(), kWidth, kDim, {metric, true});
    CHECK(codec.record_bytes() < kDim * sizeof(float) / 8);
    const Codes records = encoded(codec, rows);
    for (std::size_t q = 0; q < 5; ++q) {
      const Projection::Query query = codec.bind(queries.data() + q * kDim);
      for (std::size_t i = 0; i < 40; ++i) {
        const float* const row = rows.data() + i * kDim;
        const double truth = true_distance(metric, queries.data() + q * kDim, row, kDim);
        // A product may be much smaller than its terms, a squared distance is not.
        const double scale = metric == Metric::kL2 ? truth : 1 + std::abs(truth);
        const Estimate estimate = query.estimate(records.data() + i * codec.record_bytes());
        CHECK(std::abs(double{estimate.distance} - truth) <= 1e-5 * scale);
        CHECK(double{estimate.error} <= 2e-3 * scale);
      }
    }
  }
}

TEST_CASE("every form of an estimate gives the same, and a block of rows is encoded as its rows are") {
  constexpr std::size_t kRows = 71;  // two blocks of the encoder and a part, groups of four and a rest
  for (const auto [width, dim] : kShapes) {
    if (dim > 2000) continue;
    CAPTURE(dim);
    const Matrix basis = random_basis(width, dim, dim);
    const Matrix rows = rows_near(basis, dim, kRows, 0.1, 1);
    const Projection codec = Projection::from_basis(basis.data(), width, dim, {Metric::kL2, false});
    const std::size_t stride = codec.record_bytes();
    const Codes records = encoded(codec, rows);
    Codes record(stride);
    for (std::size_t i = 0; i < kRows; ++i) {
      codec.encode(rows.data() + i * dim, record.data());
      CHECK(std::equal(record.begin(), record.end(), records.begin() + static_cast<std::ptrdiff_t>(i * stride)));
    }
    const Projection::Query query = codec.bind(rows.data());
    std::vector<Estimate> block(kRows);
    query.estimate_block({records.data(), kRows, stride}, block.data());
    for (std::size_t i = 0; i < kRows; ++i) {
      const Estimate single = query.estimate(records.data() + i * stride);
      CHECK(single.distance == block[i].distance);
      CHECK(single.error == block[i].error);
    }
    constexpr std::size_t kQueries = 35;  // two blocks of the encoder
    for (const std::size_t nq : {std::size_t{1}, kQueries}) {
      const std::vector<Projection::Query> queries = codec.bind_block(rows.data(), nq);
      CHECK(queries.size() == nq);
      Projection::Batch batch(queries);
      std::vector<Estimate> tile(nq * Projection::Batch::kRows);
      for (const std::size_t n : {Projection::Batch::kRows, std::size_t{5}}) {
        batch.estimate({records.data() + stride, n, stride}, tile.data());
        for (std::size_t q = 0; q < nq; ++q) {
          const Projection::Query alone = codec.bind(rows.data() + q * dim);
          for (std::size_t i = 0; i < n; ++i) {
            const Estimate single = alone.estimate(records.data() + (1 + i) * stride);
            CHECK(single.distance == tile[q * n + i].distance);
            CHECK(single.error == tile[q * n + i].error);
          }
        }
      }
    }
  }
}

TEST_CASE("a distance is abandoned where its lower bound is beyond the threshold, and never otherwise") {
  constexpr std::size_t kDim = 256;
  constexpr std::size_t kRows = 60;
  const Matrix basis = random_basis(kDim, kDim, 1);
  const Matrix rows = rows_near(basis, kDim, kRows, 0, 2);
  const Matrix queries = rows_near(basis, kDim, 4, 0, 3);
  for (const Metric metric : kCodeMetrics) {
    const Projection codec = Projection::from_basis(basis.data(), kDim, kDim, {metric, false});
    CHECK(codec.levels() == 8);
    const Codes records = encoded(codec, rows);
    std::size_t read = 0;
    std::size_t kept = 0;
    for (std::size_t q = 0; q < 4; ++q) {
      const Projection::Query query = codec.bind(queries.data() + q * kDim);
      std::vector<double> truths(kRows);
      for (std::size_t i = 0; i < kRows; ++i) {
        truths[i] = true_distance(metric, queries.data() + q * kDim, rows.data() + i * kDim, kDim);
      }
      std::vector<double> sorted = truths;
      std::sort(sorted.begin(), sorted.end());
      const float threshold = static_cast<float>(sorted[5]);
      for (std::size_t i = 0; i < kRows; ++i) {
        const std::uint8_t* const record = records.data() + i * codec.record_bytes();
        Estimate estimate;
        std::size_t own = 0;
        const bool within = query.within(record, threshold, estimate, own);
        CHECK(std::abs(truths[i] - double{estimate.distance}) <= double{estimate.error});
        CHECK((within || truths[i] > double{threshold}));
        CHECK((within || estimate.distance - estimate.error > threshold));
        CHECK(own % (kDim / 8) == 0);
        CHECK((!within || own == kDim));
        read += own;
        kept += within ? 1 : 0;
      }
    }
    CHECK(kept >= 4 * 6);
    CHECK(kept < 4 * 15);
    CHECK(read < 4 * kRows * kDim * 3 / 4);
  }
}

TEST_CASE("a decoded row is off by no more than its record says") {
  const Matrix basis = random_basis(20, 90, 1);
  const Projection codec = Projection::from_basis(basis.data(), 20, 90, {});
  for (const double noise : {0.0, 0.3}) {
    const Matrix row = rows_near(basis, 90, 1, noise, 2);
    const Codes record = encoded(codec, row);
    Matrix decoded(90);
    codec.decode(record.data(), decoded.data());
    // The interval of a row against itself is its tail's length squared, twice on either side.
    const Estimate self = codec.bind(row.data()).estimate(record.data());
    CHECK(2 * true_distance(Metric::kL2, row.data(), decoded.data(), 90) <= double{self.error} + 1e-9);
  }
}

TEST_CASE("a serialised projection is the same projection") {
  for (const auto [width, dim] : kShapes) {
    if (dim > 2000) continue;
    const Matrix basis = random_basis(width, dim, dim);
    const Matrix rows = rows_near(basis, dim, 5, 0.1, 1);
    for (const Metric metric : kCodeMetrics) {
      const Projection codec = Projection::from_basis(basis.data(), width, dim, {metric, dim % 2 == 0});
      const auto bytes = codec.serialize();
      const Projection again = Projection::deserialize(bytes);
      CHECK(again.serialize() == bytes);
      CHECK(again.dim() == dim);
      CHECK(again.width() == width);
      CHECK(again.lossless() == codec.lossless());
      CHECK(encoded(again, rows) == encoded(codec, rows));
      const Codes records = encoded(codec, rows);
      const Estimate first = codec.bind(rows.data()).estimate(records.data() + codec.record_bytes());
      const Estimate second = again.bind(rows.data()).estimate(records.data() + codec.record_bytes());
      CHECK(first.distance == second.distance);
      CHECK(first.error == second.error);
    }
  }
}

TEST_CASE("bytes that are no projection are refused") {
  const Matrix basis = random_basis(4, 6, 1);
  const auto bytes = Projection::from_basis(basis.data(), 4, 6, {}).serialize();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    CHECK_THROWS_AS(Projection::deserialize(Bytes(bytes).first(n)), InvalidArgument);
  }
  const auto with = [&](std::size_t offset, auto value) {
    auto changed = bytes;
    std::memcpy(changed.data() + offset, &value, sizeof value);
    return changed;
  };
  const std::vector<unsigned char> wrong[] = {
      with(0, std::uint32_t{0}),
      with(0, std::uint32_t{7}),
      with(0, std::uint32_t{65'536}),
      with(0, ~std::uint32_t{0}),
      with(4, std::uint32_t{0}),
      with(4, std::uint32_t{5}),
      with(4, ~std::uint32_t{0}),
      with(8, std::uint32_t{1}),
      with(8, std::uint32_t{3}),
      with(12, std::uint32_t{2}),
      with(16, -1.0),
      with(16, 0.5),
      with(16, std::nan("")),
      with(24, std::nanf("")),
      with(24, kInfinity),
      with(bytes.size() - 4, 1e30F),
  };
  for (const auto& changed : wrong) CHECK_THROWS_AS(Projection::deserialize(changed), InvalidArgument);
  auto longer = bytes;
  longer.push_back(0);
  CHECK_THROWS_AS(Projection::deserialize(longer), InvalidArgument);
}

TEST_CASE("a basis that is not orthonormal is refused") {
  Matrix basis = random_basis(4, 6, 1);
  CHECK_THROWS_AS(Projection::from_basis(basis.data(), 0, 6, {}), InvalidArgument);
  CHECK_THROWS_AS(Projection::from_basis(basis.data(), 7, 6, {}), InvalidArgument);
  CHECK_THROWS_AS(Projection::from_basis(basis.data(), 1, 65'536, {}), InvalidArgument);
  CHECK_THROWS_AS(Projection::from_basis(basis.data(), 4, 6, {Metric::kCosine}), InvalidArgument);
  for (const float value : {2.0F, kInfinity, std::nanf("")}) {
    Matrix changed = basis;
    changed[9] = value;
    CHECK_THROWS_AS(Projection::from_basis(changed.data(), 4, 6, {}), InvalidArgument);
  }
  std::copy_n(basis.begin(), 6, basis.begin() + 6);  // two equal rows
  CHECK_THROWS_AS(Projection::from_basis(basis.data(), 4, 6, {}), InvalidArgument);
}

TEST_CASE("zero, tiny and huge rows give intervals that hold, or say that nothing is known") {
  constexpr std::size_t kDim = 48;
  const Matrix basis = random_basis(20, kDim, 1);
  Matrix rows;
  for (const double scale : {0.0, 1e-44, 1e-30, 1e-20, 1.0, 1e15, 1e18, 1e30, 3e37}) {
    const Matrix within = rows_near(basis, kDim, 2, 0, 2);
    const Matrix outside = rows_near(basis, kDim, 2, 0.2, 3);
    for (const Matrix& part : {within, outside}) {
      for (const float value : part) rows.push_back(static_cast<float>(double{value} * scale));
    }
  }
  const std::vector<float> greatest(kDim, std::numeric_limits<float>::max());
  rows.insert(rows.end(), greatest.begin(), greatest.end());
  for (const Metric metric : kCodeMetrics) {
    for (const bool lossless : {false, true}) {
      const Projection codec = Projection::from_basis(basis.data(), 20, kDim, {metric, lossless});
      CHECK(missed(codec, metric, rows, rows) == 0);
      const Codes records = encoded(codec, rows);
      for (std::size_t q = 0; q * kDim < rows.size(); ++q) {
        const Projection::Query query = codec.bind(rows.data() + q * kDim);
        for (std::size_t i = 0; i * kDim < rows.size(); ++i) {
          Estimate estimate;
          std::size_t read = 0;
          CHECK(query.within(records.data() + i * codec.record_bytes(), kInfinity, estimate, read));
          CHECK(std::isfinite(estimate.distance));
          CHECK(estimate.error >= 0);
        }
      }
    }
  }
}

TEST_CASE("a record of any bytes gives no NaN") {
  const Matrix basis = random_basis(20, 33, 1);
  const Projection codec = Projection::from_basis(basis.data(), 20, 33, {});
  const Projection::Query query = codec.bind(rows_near(basis, 33, 1, 1, 2).data());
  Random random(3);
  Codes record(codec.record_bytes());
  for (int round = 0; round < 500; ++round) {
    for (auto& byte : record) byte = static_cast<std::uint8_t>(random.below(256));
    const Estimate estimate = query.estimate(record.data());
    CHECK(std::isfinite(estimate.distance));
    CHECK(estimate.error == estimate.error);
  }
}

}  // namespace
}  // namespace vdb
