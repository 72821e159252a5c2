#include "index/graph/expansion.h"

#include <doctest/doctest.h>

#include <set>

#include "data.h"

namespace vdb {
namespace {

// Counts what it is asked for; its distances are the slots.
template <bool kShort>
struct Counting {
  static constexpr bool kShortRows = kShort;
  std::multiset<Slot>* asked;
  std::vector<Slot>* measured;

  void prefetch_row(Slot slot) const { asked->insert(slot); }
  void measure(std::span<const Slot> slots, float* out) const {
    const std::size_t padded = measured_room(slots.size());
    for (std::size_t i = 0; i < padded; ++i) out[i] = static_cast<float>(slots.data()[i]);
    measured->assign(slots.data(), slots.data() + padded);
  }
};

struct Gatherer {
  Visited visited;
  Fresh fresh;
  std::multiset<Slot> asked;
  std::vector<Slot> measured;

  template <bool kShort = false>
  std::vector<Slot> gather(const OneHop& hop, Slot node) {
    hop(node, Counting<kShort>{&asked, &measured}, visited, fresh);
    return {fresh.slots().begin(), fresh.slots().end()};
  }
};

TEST_CASE("a hop brings what the plainest loop brings: neighbours below the limit, not seen before, in order") {
  constexpr std::size_t kNodes = 200;
  for (const std::size_t width : {1U, 2U, 7U, 32U, 100U}) {
    for (const std::size_t limit :
         {std::size_t{1}, std::size_t{64}, std::size_t{150}, kNodes, std::size_t{kMaxSlots}}) {
      testing::Random random(width * 1000 + limit % 1000);
      std::vector<Slot> memory(kNodes * width, kAbsentSlot);
      // Empty entries anywhere: a reader may meet such a row while it is replaced.
      for (Slot& edge : memory) edge = random.below(4) == 0 ? kAbsentSlot : static_cast<Slot>(random.below(kNodes));
      const OneHop hop{Adjacency(memory.data(), width), limit};
      CHECK(hop.most() == width);
      Gatherer gatherer;
      std::size_t wrong = 0;
      for (int search = 0; search < 3; ++search) {
        gatherer.visited.reset(kNodes);
        gatherer.fresh.reset(hop.most());
        std::set<Slot> seen;
        for (int step = 0; step < 60; ++step) {
          const auto node = static_cast<Slot>(random.below(kNodes));
          std::vector<Slot> expected;
          for (std::size_t i = 0; i < width; ++i) {
            const Slot edge = memory[node * width + i];
            if (edge < std::min(limit, kNodes) && seen.insert(edge).second) expected.push_back(edge);
          }
          wrong += gatherer.gather(hop, node) == expected ? 0U : 1U;
        }
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("short rows are asked for as soon as they are met, long ones not") {
  std::vector<Slot> memory{3, 1, 2, kAbsentSlot};
  const OneHop hop{Adjacency(memory.data(), 4), 3};
  Gatherer gatherer;
  gatherer.visited.reset(5);
  gatherer.fresh.reset(hop.most());
  CHECK(gatherer.gather(hop, 0) == std::vector<Slot>{1, 2});
  CHECK(gatherer.asked.empty());
  gatherer.visited.reset(5);
  CHECK(gatherer.gather<true>(hop, 0) == std::vector<Slot>{1, 2});
  CHECK(gatherer.asked.count(1) == 1);
  CHECK(gatherer.asked.count(2) == 1);
  for (const Slot slot : gatherer.asked) CHECK(slot <= 3);  // nothing far outside is ever asked for
}

TEST_CASE("what is measured begins on a cache line and is padded with a slot of its own") {
  for (const std::size_t width : {1U, 15U, 16U, 17U, 33U}) {
    std::vector<Slot> memory(width);
    for (std::size_t i = 0; i < width; ++i) memory[i] = static_cast<Slot>(i + 1);
    const OneHop hop{Adjacency(memory.data(), width), kMaxSlots};
    Gatherer gatherer;
    gatherer.visited.reset(100);
    gatherer.fresh.reset(hop.most());
    gatherer.gather(hop, 0);
    gatherer.fresh.measure(Counting<false>{&gatherer.asked, &gatherer.measured});
    CHECK(reinterpret_cast<std::uintptr_t>(gatherer.fresh.slots().data()) % kCacheLineBytes == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(gatherer.fresh.distances()) % kCacheLineBytes == 0);
    REQUIRE(gatherer.measured.size() == measured_room(width));
    for (std::size_t i = 0; i < width; ++i) CHECK(gatherer.fresh.distances()[i] == static_cast<float>(i + 1));
    for (std::size_t i = width; i < gatherer.measured.size(); ++i) CHECK(gatherer.measured[i] == 1);
    gatherer.measured.clear();
    gatherer.gather(hop, 0);  // all seen
    gatherer.fresh.measure(Counting<false>{&gatherer.asked, &gatherer.measured});
    CHECK(gatherer.measured.empty());
  }
}

}  // namespace
}  // namespace vdb
