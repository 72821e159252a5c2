#include "base/rng.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

namespace vdb {
namespace {

TEST_CASE("splitmix64 gives the published sequence") {
  constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15ULL;
  CHECK(splitmix64(0) == 0xe220a8397b1dcdafULL);
  CHECK(splitmix64(kGamma) == 0x6e789e6aa1b965f4ULL);
  CHECK(splitmix64(2 * kGamma) == 0x06c45d188009454fULL);
}

TEST_CASE("uniform depends on seed and index and on nothing else") {
  std::set<double> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (std::uint64_t index = 0; index < 50; ++index) {
      CHECK(uniform(seed, index) == uniform(seed, index));
      seen.insert(uniform(seed, index));
    }
  }
  CHECK(seen.size() == 1000);
}

TEST_CASE("uniform stays in (0, 1] and fills it evenly") {
  constexpr int kDraws = 20'000;
  int tenths[10] = {};
  bool inside = true;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double u = uniform(42, i);
    inside = inside && u > 0 && u <= 1;
    ++tenths[u == 1 ? 9 : static_cast<int>(u * 10)];
  }
  CHECK(inside);
  for (const int tenth : tenths) CHECK(std::abs(tenth - kDraws / 10) < 200);  // 4.7 standard deviations
}

}  // namespace
}  // namespace vdb
