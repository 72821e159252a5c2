#include "core/top_k.h"

#include <doctest/doctest.h>

#include "data.h"

namespace vdb {
namespace {

std::vector<Neighbor> stream(std::size_t n, std::size_t distinct, std::uint64_t seed) {
  testing::Random random(seed);
  std::vector<Neighbor> neighbors;
  for (std::size_t i = 0; i < n; ++i) {
    neighbors.push_back({static_cast<float>(random.below(distinct)), static_cast<Slot>(i)});
  }
  for (std::size_t i = n; i > 1; --i) std::swap(neighbors[i - 1], neighbors[random.below(i)]);
  return neighbors;
}

std::vector<Neighbor> kept(TopK& top) {
  const auto sorted = top.sorted();
  return {sorted.begin(), sorted.end()};
}

TEST_CASE("the k nearest are those of a full sort, ties by slot") {
  TopK top;
  for (const std::size_t n : {0U, 1U, 10U, 500U}) {
    for (const std::size_t distinct : {1U, 5U, 100'000U}) {
      std::vector<Neighbor> neighbors = stream(n, distinct, n + distinct);
      std::vector<Neighbor> expected = neighbors;
      std::sort(expected.begin(), expected.end());
      for (const std::size_t k : {0U, 1U, 7U, 500U, 10'000U}) {
        top.reset(k);
        for (const Neighbor& neighbor : neighbors) top.push(neighbor);
        std::vector<Neighbor> nearest = expected;
        nearest.resize(std::min(k, n));
        CHECK((kept(top) == nearest));
      }
    }
  }
}

TEST_CASE("the threshold is the worst kept distance once full and infinite before") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  TopK top;
  top.reset(2);
  CHECK(top.threshold() == kInfinity);
  top.push({5, 1});
  CHECK_FALSE(top.full());
  CHECK(top.threshold() == kInfinity);
  top.push({7, 2});
  CHECK(top.full());
  CHECK(top.threshold() == 7);
  top.push({6, 3});
  CHECK(top.threshold() == 6);
  CHECK(top.size() == 2);
}

TEST_CASE("infinite distances are kept while there is room") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  TopK top;
  top.reset(2);
  top.push({kInfinity, 9});
  top.push({kInfinity, 4});
  top.push({kInfinity, 6});
  CHECK((kept(top) == std::vector<Neighbor>{{kInfinity, 4}, {kInfinity, 6}}));
}

TEST_CASE("k of zero keeps nothing") {
  TopK top;
  top.reset(0);
  top.push({1, 1});
  CHECK(top.full());
  CHECK(top.sorted().empty());
}

TEST_CASE("a huge k reserves no memory for rows that do not exist") {
  TopK top;
  top.reset(std::numeric_limits<std::size_t>::max());
  top.push({1, 1});
  CHECK(top.size() == 1);
}

}  // namespace
}  // namespace vdb
