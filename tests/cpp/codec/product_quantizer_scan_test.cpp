#include "codec/product_quantizer_scan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "data.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::Vectors;

struct Packed {
  std::vector<std::uint8_t> records;
  std::vector<std::uint8_t> codes;
  std::vector<float> radii;

  ProductBlocks blocks() const { return {codes.data(), radii.data(), radii.size() / ProductBlocks::kRows}; }
};

Packed packed(const ProductQuantizer& quantizer, const Vectors& rows) {
  Packed packed;
  packed.records.resize(rows.n * quantizer.record_bytes());
  for (std::size_t i = 0; i < rows.n; ++i) {
    quantizer.encode(rows.row(i), &packed.records[i * quantizer.record_bytes()]);
  }
  const std::size_t blocks = ProductBlocks::count(rows.n);
  packed.codes.assign(blocks * ProductBlocks::bytes_per_block(quantizer.shape()), 255);
  packed.radii.assign(blocks * ProductBlocks::kRows, -1.0F);
  pack_blocks(quantizer, {packed.records.data(), rows.n, quantizer.record_bytes()}, packed.codes.data(),
              packed.radii.data());
  return packed;
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

ProductQuantizer trained(const Vectors& rows, const ProductQuantizerParams& params) {
  return ProductQuantizer::train({rows.values.data(), rows.n, rows.dim}, params, nullptr);
}

TEST_CASE("scanned intervals hold the true distance and are little wider than those of single records") {
  for (const std::size_t dim : {1U, 3U, 64U, 65U, 384U, 700U}) {
    for (const std::size_t n : {1U, 31U, 32U, 333U}) {
      for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
        CAPTURE(dim);
        CAPTURE(n);
        const Vectors rows = clustered_vectors(Metric::kL2, n, dim, 1);
        const Vectors queries = clustered_vectors(Metric::kL2, 3, dim, 2);
        const auto quantizer = trained(rows, {.metric = metric, .m = (dim + 1) / 2, .nbits = 4, .iterations = 5});
        const Packed all = packed(quantizer, rows);
        for (std::size_t q = 0; q < queries.n; ++q) {
          const ProductScan scan(quantizer, queries.row(q));
          std::vector<Estimate> estimates(all.radii.size());
          scan.estimate(all.blocks(), estimates.data());
          std::size_t misses = 0;
          double single = 0;
          double scanned = 0;
          for (std::size_t i = 0; i < n; ++i) {
            const double exact = distance(metric, rows.row(i), queries.row(q), dim);
            const auto error = static_cast<double>(estimates[i].error);
            misses += std::abs(exact - static_cast<double>(estimates[i].distance)) <= error ? 0U : 1U;
            const auto* const record = &all.records[i * quantizer.record_bytes()];
            single += static_cast<double>(quantizer.bind(queries.row(q)).estimate(record).error);
            scanned += error;
          }
          CHECK(misses == 0);
          if (n == 333 && dim >= 64) CHECK(scanned < 1.5 * single);
        }
      }
    }
  }
}

TEST_CASE("a sum is the distance to the decoded row within the scan's error, and no sum overflows") {
  for (const std::size_t m : {255U, 256U, 600U}) {
    const Vectors rows = clustered_vectors(Metric::kL2, 100, 600, 3);
    const auto quantizer = trained(rows, {.m = m, .nbits = 4, .iterations = 3});
    const Packed all = packed(quantizer, rows);
    std::vector<float> decoded(rows.dim);
    const Vectors queries = clustered_vectors(Metric::kL2, 4, 600, 4);
    for (std::size_t q = 0; q < queries.n; ++q) {
      const ProductScan scan(quantizer, queries.row(q));
      std::vector<std::uint16_t> sums(all.radii.size());
      scan.sums(all.blocks(), sums.data());
      for (std::size_t i = 0; i < rows.n; ++i) {
        quantizer.decode(&all.records[i * quantizer.record_bytes()], decoded.data());
        const double exact = distance(Metric::kL2, decoded.data(), queries.row(q), rows.dim);
        const double found = static_cast<double>(scan.bias()) + static_cast<double>(scan.scale()) * sums[i];
        CHECK(std::abs(found - exact) <= static_cast<double>(scan.error()) + 1e-5 * exact);
        CHECK(static_cast<double>(scan.error()) <= 0.51 * static_cast<double>(m) * static_cast<double>(scan.scale()));
      }
    }
  }
}

TEST_CASE("rows behind the last are empty, and odd numbers of sub-quantisers are packed") {
  const Vectors rows = clustered_vectors(Metric::kL2, 33, 9, 1);
  const auto quantizer = trained(rows, {.m = 3, .nbits = 4});
  const Packed all = packed(quantizer, rows);
  CHECK(all.blocks().n_blocks == 2);
  for (std::size_t i = 33; i < 64; ++i) {
    CHECK(all.radii[i] == 0);
    for (std::size_t j = 0; j < 2; ++j) CHECK(all.codes[64 + j * 32 + i - 32] == 0);
  }
  for (std::size_t i = 0; i < 33; ++i) {
    CHECK(all.radii[i] == quantizer.radius(&all.records[i * quantizer.record_bytes()]));
    CHECK(all.codes[i / 32 * 64 + 32 + i % 32] == all.records[i * quantizer.record_bytes() + 1]);
  }
}

TEST_CASE("a table that overflows gives infinite estimates, a constant one exact ones") {
  Vectors rows = clustered_vectors(Metric::kL2, 50, 8, 1);
  const auto quantizer = trained(rows, {.m = 4, .nbits = 4});
  const auto product = trained(rows, {.metric = Metric::kInnerProduct, .m = 4, .nbits = 4});
  const Packed all = packed(quantizer, rows);
  std::vector<Estimate> estimates(all.radii.size());
  std::vector<float> query(8, 1e30F);
  query[3] = -3e38F;
  ProductScan(quantizer, query.data()).estimate(all.blocks(), estimates.data());
  for (const Estimate& estimate : estimates) CHECK(estimate.error == std::numeric_limits<float>::infinity());
  ProductScan(product, query.data()).estimate(all.blocks(), estimates.data());
  for (const Estimate& estimate : estimates) CHECK(!std::isnan(estimate.distance));
  const std::vector<float> zero(8, 0.0F);
  ProductScan(product, zero.data()).estimate(all.blocks(), estimates.data());
  for (const Estimate& estimate : estimates) CHECK(estimate.distance == 0);
}

TEST_CASE("8-bit codes are not packed") {
  const Vectors rows = clustered_vectors(Metric::kL2, 50, 8, 1);
  const auto quantizer = trained(rows, {.m = 4, .nbits = 8});
  CHECK_THROWS_AS(ProductScan(quantizer, rows.row(0)), InvalidArgument);
  CHECK_THROWS_AS(pack_blocks(quantizer, {nullptr, 0, 8}, nullptr, nullptr), InvalidArgument);
}

}  // namespace
}  // namespace vdb
