// The hops that look beyond the neighbours of a node, against the plainest loops that say what they should bring.
#include "index/graph/adaptive_hop.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "data.h"
#include "index/graph/two_hop.h"

namespace vdb {
namespace {

constexpr std::size_t kNodes = 600;

float number_of(Slot slot) { return static_cast<float>((slot * 7919U) % 1009U); }

struct ByNumber {
  static constexpr bool kShortRows = true;
  void prefetch_row(Slot slot) const { CHECK(slot < kNodes); }
  void measure(std::span<const Slot> slots, float* out) const {
    for (std::size_t i = 0; i < measured_room(slots.size()); ++i) out[i] = number_of(slots.data()[i]);
  }
};

struct Case {
  std::size_t width;
  std::size_t limit;
  double selectivity;
};

constexpr Case kCases[] = {{1, kMaxSlots, 0.5}, {4, kMaxSlots, 0.0}, {4, 400, 0.3},         {8, kMaxSlots, 0.02},
                           {8, 500, 0.9},       {32, 600, 0.2},      {32, kMaxSlots, 0.01}, {32, kMaxSlots, 0.05},
                           {32, 77, 0.45},      {100, 600, 0.1},     {100, 600, 1.0}};

// A graph of random edges, some of them absent, and the rows that pass.
struct Made {
  explicit Made(const Case& its) : with(its), random(static_cast<std::uint64_t>(with.width * 1000)) {
    memory.resize(kNodes * with.width);
    for (Slot& edge : memory) edge = random.below(5) == 0 ? kAbsentSlot : static_cast<Slot>(random.below(kNodes));
    std::vector<Slot> slots;
    for (Slot slot = 0; slot < kNodes; ++slot) {
      if (random.unit() < with.selectivity) slots.push_back(slot);
    }
    rows = RowSet::from_slots(slots, kNodes);
    visited.reset(kNodes);
  }

  PassingEdges edges() { return {Adjacency(memory.data(), with.width), rows, with.limit}; }
  std::vector<Slot> row(Slot node) const {
    std::vector<Slot> found;
    for (std::size_t i = 0; i < with.width; ++i) {
      const Slot slot = memory[node * with.width + i];
      if (slot < std::min(with.limit, kNodes)) found.push_back(slot);
    }
    return found;
  }
  // What `node` leads to that passes and was not seen, into `brought`; how many pass, seen or not.
  std::size_t take(Slot node, std::vector<Slot>& brought) {
    std::size_t passing = 0;
    for (const Slot slot : row(node)) {
      ++tests;
      if (!rows.contains(slot)) continue;
      ++passing;
      if (seen.insert(slot).second) brought.push_back(slot);
    }
    return passing;
  }

  Case with;
  testing::Random random;
  std::vector<Slot> memory;
  RowSet rows;
  std::set<Slot> seen;
  std::size_t tests = 0;
  std::size_t measured = 0;
  Visited visited;
  Fresh fresh;
  Surroundings surroundings;
};

std::vector<Slot> adaptive_by_hand(Made& made, Slot node) {
  std::vector<Slot> brought;
  const std::size_t passing = made.take(node, brought);
  std::vector<Slot> failing;
  for (const Slot slot : made.row(node)) {
    if (!made.rows.contains(slot)) failing.push_back(slot);
  }
  const double p = static_cast<double>(passing);
  const double d = p + static_cast<double>(failing.size());
  if (p >= 0.3 * d) return brought;
  const bool directed = 0.4 * p * (d + 1) > 2 * d - p;
  if (directed) {
    std::erase_if(failing, [&](Slot slot) { return !made.seen.insert(slot).second; });
    std::sort(failing.begin(), failing.end(),
              [](Slot a, Slot b) { return std::pair(number_of(a), a) < std::pair(number_of(b), b); });
    made.measured += failing.size();
  }
  std::size_t met = passing;
  for (const Slot slot : failing) {
    if (met >= made.with.width) break;
    if (directed || made.seen.insert(slot).second) met += made.take(slot, brought);
  }
  return brought;
}

std::vector<Slot> two_hop_by_hand(Made& made, Slot node) {
  std::vector<Slot> brought;
  std::size_t met = made.take(node, brought);
  for (const Slot slot : made.row(node)) {
    if (met >= made.with.width) break;
    met += made.take(slot, brought);
  }
  return brought;
}

template <class Hop, class ByHand>
void compare(Made& made, Hop& hop, const ByHand& by_hand) {
  made.fresh.reset(hop.most());
  std::size_t wrong = 0;
  for (int step = 0; step < 150; ++step) {
    const auto node = static_cast<Slot>(made.random.below(kNodes));
    hop(node, ByNumber{}, made.visited, made.fresh);
    const std::vector<Slot> brought(made.fresh.slots().begin(), made.fresh.slots().end());
    wrong += brought == by_hand(made, node) ? 0U : 1U;
  }
  CHECK(wrong == 0);
  CHECK(hop.spent().tests == made.tests);
  CHECK(hop.spent().distances == made.measured);
}

TEST_CASE("an adaptive hop brings what the plainest loop brings, at every share of nodes that pass") {
  for (const Case& with : kCases) {
    CAPTURE(with.width);
    CAPTURE(with.selectivity);
    Made made(with);
    AdaptiveHop hop(made.edges(), made.surroundings, 64);
    compare(made, hop, adaptive_by_hand);
  }
}

TEST_CASE("a two-hop brings what the plainest loop brings, at every share of nodes that pass") {
  for (const Case& with : kCases) {
    CAPTURE(with.width);
    CAPTURE(with.selectivity);
    Made made(with);
    TwoHop hop(made.edges(), made.surroundings);
    compare(made, hop, two_hop_by_hand);
  }
}

TEST_CASE("nodes that fail and were gone through are bridges, none of them twice") {
  Made made({8, kMaxSlots, 0.0});
  AdaptiveHop hop(made.edges(), made.surroundings, 2 * kNodes);
  made.fresh.reset(hop.most());
  for (Slot node = 0; node < 40; ++node) hop(node, ByNumber{}, made.visited, made.fresh);
  std::set<Slot> expected;
  for (Slot node = 0; node < 40; ++node) {
    for (const Slot slot : made.row(node)) expected.insert(slot);
  }
  float last = 0;
  for (std::size_t left = expected.size(); left > 0; --left) {
    const Slot slot = hop.bridge(ByNumber{});
    REQUIRE(expected.erase(slot) == 1);
    CHECK(number_of(slot) >= last);
    last = number_of(slot);
  }
  CHECK(hop.bridge(ByNumber{}) == kAbsentSlot);
}

}  // namespace
}  // namespace vdb
