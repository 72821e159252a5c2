#include "index/graph/packed_query.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "data.h"
#include "index/graph/packed_cases.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::exact_distance;
using testing::first_slots;
using testing::kMetrics;
using testing::MadeEdges;
using testing::packed_params;
using testing::rebuild;
using testing::StoredVectors;
using testing::uniform_vectors;
using testing::Vectors;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr double kEpsilon0 = 1.9;  // standard deviations of the interval, as in the paper on RaBitQ
constexpr std::size_t kNeighbors = 32;

// Of the estimates of one node's neighbours: how far off, in half-widths of the interval that the theory gives.
struct Errors {
  void add(double error) {
    ++pairs;
    within += std::abs(error) <= 1 ? 1U : 0U;
    sum += error;
  }
  double share_within() const { return static_cast<double>(within) / static_cast<double>(pairs); }
  double mean() const { return sum / static_cast<double>(pairs); }

  std::size_t pairs = 0;
  std::size_t within = 0;
  double sum = 0;
};

// A row as the codes see it: of length one under cosine, less the centre, rotated.
std::vector<double> seen(const PackedCodes& codes, const float* row) {
  const PackedParams& params = codes.params();
  double norm = 0;
  for (std::size_t d = 0; d < params.dim; ++d) norm += double{row[d]} * double{row[d]};
  const double length = params.metric == Metric::kCosine ? std::sqrt(norm) : 1.0;
  std::vector<float> scaled(params.dim);
  for (std::size_t d = 0; d < params.dim; ++d) scaled[d] = static_cast<float>(double{row[d]} / length);
  std::vector<float> rotated(codes.layout().padded_dim);
  codes.rotation().apply(scaled.data(), rotated.data());
  std::vector<double> result;
  for (std::size_t i = 0; i < rotated.size(); ++i) result.push_back(double{rotated[i]} - double{codes.centre()[i]});
  return result;
}

double norm_of_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

// Half-width of the interval of an estimate (Gao and Long, SIGMOD 2024, theorem 3.2), and what rounding the query adds
// to it.
double half_width(Metric metric, const std::vector<double>& p, const std::vector<double>& v,
                  const std::vector<double>& q) {
  const double n = static_cast<double>(p.size());
  const double length = norm_of_difference(v, p);
  if (length == 0) return 0;
  double magnitudes = 0;
  double greatest = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    magnitudes += std::abs(v[i] - p[i]);
    greatest = std::max(greatest, std::abs(q[i]));
  }
  const double cosine = magnitudes / (std::sqrt(n) * length);
  const double tangent = std::sqrt(std::max(1 - cosine * cosine, 0.0)) / cosine;
  const double rounding = greatest / 15 / std::sqrt(12.0) / cosine;
  const double spread = norm_of_difference(q, p) * tangent / std::sqrt(n - 1);
  const double width = kEpsilon0 * length * std::sqrt(spread * spread + rounding * rounding);
  return metric == Metric::kL2 ? 2 * width : width;
}

void measure(const PackedCodes& codes, const Vectors& rows, MadeEdges& edges, const Vectors& queries, Errors& errors) {
  const Metric metric = codes.params().metric;
  const std::size_t dim = rows.dim;
  PackedQuery query;
  std::vector<float> out(kNeighbors);
  std::vector<std::vector<double>> seen_rows;
  for (std::size_t i = 0; i < rows.n; ++i) seen_rows.push_back(seen(codes, rows.row(i)));
  for (std::size_t q = 0; q < queries.n; ++q) {
    query.bind(codes, queries.row(q), Dtype::kFloat32);
    const std::vector<double> seen_query = seen(codes, queries.row(q));
    for (Slot node = 0; node < rows.n; node += 17) {
      const double distance = exact_distance(metric, rows.row(node), queries.row(q), dim);
      query.estimate(codes.block(node), 0, {static_cast<float>(distance), kInfinity}, out.data());
      std::size_t i = 0;
      for (const Slot neighbor : edges.row(node)) {
        const double exact = exact_distance(metric, rows.row(neighbor), queries.row(q), dim);
        const double width = half_width(metric, seen_rows[node], seen_rows[neighbor], seen_query);
        errors.add((double{out[i++]} - exact) / (width + 1e-5 * (1 + std::abs(exact))));
      }
    }
  }
}

TEST_CASE("estimates are unbiased and lie within the interval of the theory, for every metric and dimension") {
  for (const Metric metric : kMetrics) {
    for (const std::size_t dim : {1U, 2U, 3U, 17U, 63U, 64U, 65U, 128U, 384U, 1030U}) {
      CAPTURE(name_of(metric));
      CAPTURE(dim);
      const Vectors rows = clustered_vectors(metric, 120, dim, 1, 4);
      const Vectors queries = clustered_vectors(metric, 6, dim, 2, 4);
      MadeEdges edges(rows.n, kNeighbors, 3, [](std::size_t i) { return 20 + i % 13; });
      Errors errors;
      for (std::uint64_t seed = 0; seed < 4; ++seed) {
        PackedCodes codes(packed_params(metric, dim, kNeighbors, seed), rows.n);
        rebuild(codes, rows.view(), edges, first_slots(rows.n));
        measure(codes, rows, edges, queries, errors);
      }
      CHECK(errors.pairs > 3000);
      CHECK(errors.share_within() >= 0.95);
      CHECK(std::abs(errors.mean()) < 0.12);
    }
  }
}

TEST_CASE("a centre near the rows keeps estimates good where all rows lie far from the origin") {
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    CAPTURE(name_of(metric));
    const std::size_t dim = 96;
    Vectors rows = clustered_vectors(metric, 120, dim, 1, 4);
    Vectors queries = clustered_vectors(metric, 6, dim, 2, 4);
    for (float& value : rows.values) value += 50;
    for (float& value : queries.values) value += 50;
    MadeEdges edges(rows.n, kNeighbors, 3, [](std::size_t) { return kNeighbors; });
    PackedParams params = packed_params(metric, dim, kNeighbors);
    const auto mean_error = [&] {
      PackedCodes codes(params, rows.n);
      rebuild(codes, rows.view(), edges, first_slots(rows.n));
      PackedQuery query;
      query.bind(codes, queries.row(0), Dtype::kFloat32);
      std::vector<float> out(kNeighbors);
      const double distance = exact_distance(metric, rows.row(0), queries.row(0), dim);
      query.estimate(codes.block(0), 0, {static_cast<float>(distance), kInfinity}, out.data());
      double sum = 0;
      for (std::size_t i = 0; i < kNeighbors; ++i) {
        const Slot neighbor = edges.row(0)[i];
        sum += std::abs(double{out[i]} - exact_distance(metric, rows.row(neighbor), queries.row(0), dim));
      }
      return sum / static_cast<double>(kNeighbors);
    };
    const double without = mean_error();
    params.centre.assign(dim, 50);
    CHECK(mean_error() < without / 3);
  }
}

TEST_CASE("the node itself and its copies are at the distance of the node, and the mask is what the threshold says") {
  std::vector<float> values;
  for (int i = 0; i < 6; ++i) values.insert(values.end(), {1, 2, 3, 4});
  const Vectors rows(Metric::kL2, 4, values);
  MadeEdges edges(6, 5, 1, [](std::size_t) { return 5U; });
  PackedCodes codes(packed_params(Metric::kL2, 4, 5), 6);
  rebuild(codes, rows.view(), edges, first_slots(6));
  PackedQuery query;
  const std::vector<float> point{1, 2, 3, 9};
  query.bind(codes, point.data(), Dtype::kFloat32);
  std::vector<float> out(kNeighbors);
  CHECK(query.estimate(codes.block(2), 0, {25, kInfinity}, out.data()) == 0x1f);
  for (std::size_t i = 0; i < 5; ++i) CHECK(out[i] == 25);
  for (std::size_t i = 5; i < kNeighbors; ++i) CHECK(out[i] == kInfinity);
  CHECK(query.estimate(codes.block(2), 0, {25, 25}, out.data()) == 0);
}

TEST_CASE("values that overflow make a neighbour infinitely far, and zero vectors under cosine are no exception") {
  const Vectors rows(Metric::kL2, 2, {0, 0, 3e38F, 3e38F, -3e38F, 3e38F, 1, 1});
  MadeEdges edges(4, 3, 1, [](std::size_t) { return 3U; });
  PackedCodes codes(packed_params(Metric::kL2, 2, 3), 4);
  rebuild(codes, rows.view(), edges, first_slots(4));
  PackedQuery query;
  std::vector<float> out(kNeighbors);
  query.bind(codes, rows.row(3), Dtype::kFloat32);
  CHECK(query.estimate(codes.block(0), 0, {2, kInfinity}, out.data()) == 4);
  query.bind(codes, rows.row(1), Dtype::kFloat32);
  query.estimate(codes.block(0), 0, {kInfinity, kInfinity}, out.data());
  CHECK_FALSE(out[0] < kInfinity);

  const Vectors zero(Metric::kCosine, 2, {0, 0, 1, 0, 0, 1, 1, 1});
  PackedCodes angles(packed_params(Metric::kCosine, 2, 3), 4);
  rebuild(angles, zero.view(), edges, first_slots(4));
  for (const Slot slot : {0U, 2U}) {
    query.bind(angles, zero.row(slot), Dtype::kFloat32);
    query.estimate(angles.block(0), 0, {1, kInfinity}, out.data());
    for (std::size_t i = 0; i < 3; ++i) CHECK(std::isfinite(out[i]));
  }
}

TEST_CASE("one query object serves codes of any dimension and queries of every dtype one after the other") {
  PackedQuery query;
  std::vector<float> out(kNeighbors);
  std::vector<float> expected(kNeighbors);
  for (const std::size_t dim : {40U, 200U, 3U, 64U}) {
    const Vectors rows = testing::integer_vectors(Metric::kL2, 40, dim, dim);
    MadeEdges edges(rows.n, kNeighbors, 1, [](std::size_t) { return kNeighbors; });
    PackedCodes codes(packed_params(Metric::kL2, dim, kNeighbors), rows.n);
    rebuild(codes, rows.view(), edges, first_slots(rows.n));
    PackedQuery fresh;
    fresh.bind(codes, rows.row(9), Dtype::kFloat32);
    fresh.estimate(codes.block(0), 0, {1, kInfinity}, expected.data());
    for (const Dtype dtype : testing::kDtypes) {
      const StoredVectors stored(rows, dtype);
      query.bind(codes, stored.view().row(9), dtype);
      query.estimate(codes.block(0), 0, {1, kInfinity}, out.data());
      CHECK(out == expected);
    }
  }
}

}  // namespace
}  // namespace vdb
