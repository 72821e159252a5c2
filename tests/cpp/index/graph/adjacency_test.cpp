#include "index/graph/adjacency.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

namespace vdb {
namespace {

std::vector<Slot> row(const Adjacency& edges, Slot slot) {
  std::vector<Slot> found;
  edges.for_each(slot, [&](Slot neighbor) { found.push_back(neighbor); });
  return found;
}

TEST_CASE("what is stored is visited in order, and other rows stay as they were") {
  std::vector<Slot> memory(5 * 4, kAbsentSlot);
  const Adjacency edges(memory.data(), 4);
  for (std::size_t degree = 0; degree <= 4; ++degree) {
    std::vector<Slot> neighbors(degree);
    std::iota(neighbors.begin(), neighbors.end(), 10);
    edges.store(2, neighbors);
    CHECK(row(edges, 2) == neighbors);
    CHECK(row(edges, 1).empty());
    CHECK(row(edges, 3).empty());
  }
}

TEST_CASE("a shorter row leaves nothing of a longer one behind") {
  std::vector<Slot> memory(4, kAbsentSlot);
  const Adjacency edges(memory.data(), 4);
  edges.store(0, std::array<Slot, 4>{1, 2, 3, 4});
  edges.store(0, std::array<Slot, 1>{9});
  CHECK(row(edges, 0) == std::vector<Slot>{9});
  CHECK(edges.absent_from(0, 1));
  CHECK_FALSE(edges.absent_from(0, 0));
  CHECK(edges.absent_from(0, 4));
}

TEST_CASE("something behind the last neighbour is noticed") {
  std::vector<Slot> memory{1, kAbsentSlot, kAbsentSlot, 5};
  const Adjacency edges(memory.data(), 4);
  CHECK(row(edges, 0) == std::vector<Slot>{1});
  CHECK_FALSE(edges.absent_from(0, 1));
}

TEST_CASE("every entry of a row is visited, the empty ones too") {
  std::vector<Slot> memory(3 * 4, kAbsentSlot);
  const Adjacency edges(memory.data(), 4);
  edges.store(1, std::array<Slot, 2>{8, 6});
  std::vector<Slot> entries;
  edges.for_each_entry(1, [&](Slot entry) { entries.push_back(entry); });
  CHECK(entries == std::vector<Slot>{8, 6, kAbsentSlot, kAbsentSlot});
}

TEST_CASE("rows of upper levels are found through their map and their offset") {
  std::vector<Slot> memory(6 * 2, kAbsentSlot);
  const std::vector<std::uint32_t> first_row{0, 0, 2, 4};  // slot 1 has rows 0 and 1, slot 2 rows 2 and 3
  const Adjacency level1(memory.data(), 2, first_row.data(), 0);
  const Adjacency level2(memory.data(), 2, first_row.data(), 1);
  level1.store(1, std::array<Slot, 1>{7});
  level2.store(1, std::array<Slot, 2>{8, 9});
  level2.store(2, std::array<Slot, 1>{6});
  CHECK(memory == std::vector<Slot>{7, kAbsentSlot, 8, 9, kAbsentSlot, kAbsentSlot, 6, kAbsentSlot, kAbsentSlot,
                                    kAbsentSlot, kAbsentSlot, kAbsentSlot});
  CHECK(row(level1, 1) == std::vector<Slot>{7});
  CHECK(row(level2, 1) == std::vector<Slot>{8, 9});
  CHECK(row(level1, 2).empty());
}

TEST_CASE("a row may be read while it is replaced: every neighbour seen is one that was stored") {
  std::vector<Slot> memory(8, kAbsentSlot);
  const Adjacency edges(memory.data(), 8);
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (Slot round = 0; round < 5000; ++round) {
      std::vector<Slot> neighbors(round % 9);
      for (Slot i = 0; i < neighbors.size(); ++i) neighbors[i] = 100 * i + round % 3;
      edges.store(0, neighbors);
    }
    done = true;
  });
  std::size_t wrong = 0;
  while (!done) {
    std::size_t position = 0;
    edges.for_each(0, [&](Slot neighbor) {
      wrong += neighbor / 100 == position && neighbor % 100 < 3 ? 0U : 1U;
      ++position;
    });
  }
  writer.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace vdb
