#include "index/graph/acorn_hop.h"

#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "data.h"

namespace vdb {
namespace {

// A distance that is asked for nothing but prefetches.
struct Unmeasured {
  static constexpr bool kShortRows = true;
  void prefetch_row(Slot) const noexcept {}
};

struct Rows {
  Rows(std::size_t its_nodes, std::size_t its_width, std::uint64_t seed)
      : nodes(its_nodes), width(its_width), memory(nodes * width, kAbsentSlot) {
    testing::Random random(seed);
    for (std::size_t node = 0; node < nodes; ++node) {
      const std::size_t degree = random.below(width + 1);
      for (std::size_t i = 0; i < degree; ++i) memory[node * width + i] = static_cast<Slot>(random.below(nodes));
    }
  }
  std::vector<Slot> of(Slot node) const {
    std::vector<Slot> row;
    for (std::size_t i = 0; i < width && memory[node * width + i] != kAbsentSlot; ++i) {
      row.push_back(memory[node * width + i]);
    }
    return row;
  }

  std::size_t nodes;
  std::size_t width;
  std::vector<Slot> memory;
};

struct Bounds {
  std::size_t limit;
  std::size_t direct;
  std::size_t bound;
};

// What the paper says a node's neighbourhood is: its row, each entry behind the first `direct` followed by its own row,
// of all that the first `bound` that pass.
std::vector<Slot> neighborhood(const Rows& rows, Slot node, const RowSet& allowed, const Bounds& bounds) {
  std::vector<Slot> reached;
  const std::vector<Slot> row = rows.of(node);
  for (std::size_t i = 0; i < row.size(); ++i) {
    reached.push_back(row[i]);
    if (i < bounds.direct || row[i] >= bounds.limit) continue;
    for (const Slot second : rows.of(row[i])) reached.push_back(second);
  }
  std::vector<Slot> passing;
  for (const Slot slot : reached) {
    if (passing.size() == bounds.bound) break;
    if (slot < bounds.limit && allowed.contains(slot)) passing.push_back(slot);
  }
  return passing;
}

TEST_CASE("a hop brings the published neighbourhood as far as it was not seen, each node once") {
  constexpr std::size_t kNodes = 300;
  for (const std::size_t direct : {0U, 3U, 12U}) {
    for (const std::size_t one_in : {1U, 4U, 40U}) {
      for (const std::size_t limit : {std::size_t{200}, kNodes}) {
        CAPTURE(direct);
        CAPTURE(one_in);
        CAPTURE(limit);
        Rows rows(kNodes, 12, direct * 100 + one_in);
        std::vector<Slot> slots;
        for (Slot slot = 1; slot < kNodes; slot += static_cast<Slot>(one_in)) slots.push_back(slot);
        const RowSet allowed = RowSet::from_slots(slots, kNodes);
        AcornHop hop{Adjacency(rows.memory.data(), rows.width), allowed, limit, direct, 10};
        Visited visited;
        Fresh fresh;
        fresh.reset(hop.most());
        visited.reset(kNodes);
        std::set<Slot> seen;
        std::size_t brought = 0;
        for (Slot node = 0; node < kNodes; node += 2) {
          std::vector<Slot> expected;
          for (const Slot slot : neighborhood(rows, node, allowed, {limit, direct, 10})) {
            if (seen.insert(slot).second) expected.push_back(slot);
          }
          hop(node, Unmeasured{}, visited, fresh);
          CHECK(std::vector<Slot>(fresh.slots().begin(), fresh.slots().end()) == expected);
          brought += fresh.size();
        }
        CHECK(brought > 0);
      }
    }
  }
}

TEST_CASE("a search that is over leaves nothing seen") {
  Rows rows(100, 8, 1);
  const RowSet all = RowSet::all(100);
  AcornHop hop{Adjacency(rows.memory.data(), rows.width), all, 100, 2, 20};
  Visited visited;
  Fresh fresh;
  fresh.reset(hop.most());
  std::vector<std::size_t> sizes;
  for (int search = 0; search < 2; ++search) {
    visited.reset(100);
    for (Slot node = 0; node < 100; ++node) {
      hop(node, Unmeasured{}, visited, fresh);
      sizes.push_back(fresh.size());
    }
  }
  CHECK(std::equal(sizes.begin(), sizes.begin() + 100, sizes.begin() + 100));
}

}  // namespace
}  // namespace vdb
