#include "index/graph/visited.h"

#include <doctest/doctest.h>

namespace vdb {
namespace {

TEST_CASE("a node is new once after each reset, past the last epoch too") {
  Visited visited;
  std::size_t wrong = 0;
  for (int search = 0; search < 140'000; ++search) {  // more than twice the 65,535 epochs
    visited.reset(8);
    const Slot slot = static_cast<Slot>(search % 8);
    wrong += visited.insert(slot) ? 0U : 1U;
    wrong += visited.insert(slot) ? 1U : 0U;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a node marked long ago is new again when its epoch returns") {
  Visited visited;
  visited.reset(2);
  CHECK(visited.insert(1));
  for (int search = 1; search < 65'536; ++search) visited.reset(2);
  CHECK(visited.insert(1));
}

TEST_CASE("more and fewer nodes than before are both fine") {
  Visited visited;
  for (const std::size_t size : {1U, 100U, 5U, 1000U, 1000U, 1U}) {
    visited.reset(size);
    for (std::size_t i = 0; i < size; ++i) CHECK(visited.insert(static_cast<Slot>(i)));
    for (std::size_t i = 0; i < size; ++i) CHECK_FALSE(visited.insert(static_cast<Slot>(i)));
  }
}

}  // namespace
}  // namespace vdb
