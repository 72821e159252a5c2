#include "index/graph/visited.h"

#include <doctest/doctest.h>

#include <set>

#include "data.h"

namespace vdb {
namespace {

TEST_CASE("a node is new once after each reset, whether a search sees few nodes or most") {
  Visited visited;
  testing::Random random(1);
  std::size_t wrong = 0;
  for (const std::size_t size : {1U, 63U, 64U, 100U, 5000U, 20'000U, 300U, 5000U}) {
    for (const std::size_t steps : {1U, 3U, 50U, 700U, 12'000U, 2U}) {
      visited.reset(size);
      std::set<Slot> seen;
      for (std::size_t step = 0; step < steps; ++step) {
        const auto slot = static_cast<Slot>(random.below(size + 1));  // the node `size` is there too
        wrong += visited.insert(slot) == seen.insert(slot).second ? 0U : 1U;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("nodes marked first and remembered later are forgotten by the reset") {
  constexpr std::size_t kSize = 10'000;
  Visited visited;
  std::size_t wrong = 0;
  for (std::size_t hop = 1; hop <= 64; ++hop) {  // few enough to be cleared one by one at first, too many later
    visited.reset(kSize);
    for (std::size_t begin = 0; begin + hop <= kSize; begin += 97 * hop) {
      std::vector<Slot> fresh;
      for (std::size_t i = 0; i < hop; ++i) fresh.push_back(static_cast<Slot>(begin + i));
      for (const Slot slot : fresh) wrong += visited.mark(slot) ? 0U : 1U;
      for (const Slot slot : fresh) wrong += visited.mark(slot) ? 1U : 0U;
      visited.remember(fresh);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("more and fewer nodes than before are both fine") {
  Visited visited;
  for (const std::size_t size : {1U, 100U, 5U, 1000U, 1000U, 1U}) {
    visited.reset(size);
    CHECK(visited.size() == size);
    for (std::size_t i = 0; i < size; ++i) CHECK(visited.insert(static_cast<Slot>(i)));
    for (std::size_t i = 0; i < size; ++i) CHECK_FALSE(visited.insert(static_cast<Slot>(i)));
  }
}

}  // namespace
}  // namespace vdb
