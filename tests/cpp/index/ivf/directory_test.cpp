// Centroids as they are kept, and which are found near a query.
#include "index/ivf/directory.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/half.h"
#include "ivf_cases.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kDim = 24;
constexpr std::size_t kLists = 300;

// Normal values about `offset`.
std::vector<float> around(double offset, std::size_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(offset + random.normal());
  return values;
}

struct Exact {
  double squared = 0;
  double product = 0;
};

Exact exact(const float* a, const float* b) {
  Exact sums;
  for (std::size_t d = 0; d < kDim; ++d) {
    const double difference = double{a[d]} - double{b[d]};
    sums.squared += difference * difference;
    sums.product += double{a[d]} * double{b[d]};
  }
  return sums;
}

struct Rows {
  Metric metric;
  bool even;
};

TEST_CASE("lists are found by where their centroids are kept, however far all lie from the origin") {
  for (const auto [metric, even] : {Rows{Metric::kL2, false}, Rows{Metric::kCosine, false},
                                    Rows{Metric::kInnerProduct, false}, Rows{Metric::kInnerProduct, true}}) {
    CAPTURE(name_of(metric));
    CAPTURE(even);
    const double offset = metric == Metric::kL2 ? 1000 : 0.5;
    const std::vector<float> mean(kDim, static_cast<float>(offset));
    const std::vector<float> given = around(offset, kLists * kDim, 1);
    const Directory directory(metric, Directory::offsets_of(given, mean), mean, 7, even);
    const std::vector<float> kept = directory.centroids();
    for (std::size_t i = 0; i < given.size(); ++i) CHECK(std::abs(kept[i] - given[i]) < 0.01F);
    const std::vector<float> queries = around(offset, 20 * kDim, 2);
    Directory::Finder finder(directory);
    ResidualSigns::Query signs(directory.codec());
    std::size_t first_found = 0;
    for (std::size_t q = 0; q < 20; ++q) {
      const float* const query = queries.data() + q * kDim;
      signs.bind(query);
      std::size_t first = 0;
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t i = 0; i < kLists; ++i) {
        const Exact to = exact(query, kept.data() + i * kDim);
        const double order = metric == Metric::kInnerProduct && !even ? -to.product : to.squared;
        if (order < least) first = i;
        least = std::min(least, order);
      }
      const auto found = finder.nearest(query, signs, 10);
      REQUIRE(found.size() >= 10);
      CHECK(std::is_sorted(found.begin(), found.end()));
      first_found += std::any_of(found.begin(), found.begin() + 2, [&](const auto& r) { return r.list == first; });
      for (const RankedList& ranked : found) {
        const Exact to = exact(query, kept.data() + ranked.list * kDim);
        const double distance = metric == Metric::kL2 ? to.squared : -to.product;
        CHECK(std::abs(double{ranked.terms.distance} - distance) < 0.1);
        CHECK(std::abs(double{ranked.terms.reach} - std::sqrt(to.squared)) < 0.1);
      }
    }
    CHECK(first_found >= 19);
  }
}

TEST_CASE("centroids are kept as finite values") {
  constexpr float kMax = std::numeric_limits<float>::max();
  const std::vector<float> mean{0.0F, -kMax / 2, 1.0F};
  for (const std::uint16_t offset : Directory::offsets_of(std::vector<float>{kMax, kMax, -kMax}, mean)) {
    CHECK(std::isfinite(from_bfloat16(offset)));
  }
}

}  // namespace
}  // namespace vdb
