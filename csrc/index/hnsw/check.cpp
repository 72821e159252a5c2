#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/thread_pool.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Nodes per turn of a thread: half a megabyte of edges at M = 16.
constexpr std::size_t kNodesPerTurn = 4096;

// The edges of one node on one level.
struct Row {
  Slot slot;
  std::size_t level;
  const Slot* edges;
  std::size_t width;
};

class EdgeRules {
 public:
  EdgeRules(const Layers& layers, std::size_t slots, std::size_t nodes)
      : levels_(layers.levels.data()), slots_(static_cast<Slot>(slots)), complete_(nodes == slots) {}

  // Every neighbour is another node of this level, and nothing stands behind the last. Where every slot is a node, any
  // slot may be a neighbour on level 0: the 32 million edges of a million nodes are checked at the speed of memory.
  bool hold(const Row& row) const noexcept {
    std::uint32_t broken = 0;
    for (std::size_t i = 1; i < row.width; ++i) {
      broken |= static_cast<std::uint32_t>((row.edges[i - 1] == kAbsentSlot) & (row.edges[i] != kAbsentSlot));
    }
    for (std::size_t i = 0; i < row.width; ++i) {
      const Slot neighbor = row.edges[i];
      const bool wrong = (neighbor >= slots_) | (neighbor == row.slot);
      broken |= static_cast<std::uint32_t>(wrong & (neighbor != kAbsentSlot));
    }
    if (complete_ && row.level == 0) return broken == 0;
    for (std::size_t i = 0; i < row.width; ++i) {
      const Slot neighbor = row.edges[i];
      const bool inside = neighbor < slots_;  // what is not is absent, or broken already
      broken |= static_cast<std::uint32_t>(inside & (above_none(inside ? neighbor : 0) <= row.level));
    }
    return broken == 0;
  }

  // Throws for the first neighbour that breaks a rule, naming `path`.
  void explain(const Row& row, const std::string& path) const {
    bool ended = false;
    for (std::size_t i = 0; i < row.width; ++i) {
      const Slot neighbor = row.edges[i];
      const auto require = [&](bool holds, const std::string& expected) {
        const char* const section = row.level == 0 ? "base" : "upper";
        if (!holds) throw Corrupted({path, section, row.slot, expected, std::to_string(neighbor)});
      };
      ended |= neighbor == kAbsentSlot;
      if (neighbor == kAbsentSlot) continue;
      require(!ended, "nothing behind the last neighbour");
      require(neighbor < slots_, "neighbours below " + std::to_string(slots_));
      require(neighbor != row.slot, "no edge to itself");
      require(above_none(neighbor) > row.level, "neighbours on level " + std::to_string(row.level));
    }
  }

 private:
  // 0 where the slot is not in the graph, one more than its top level where it is.
  std::uint8_t above_none(Slot slot) const noexcept { return static_cast<std::uint8_t>(levels_[slot] + 1); }

  static_assert(static_cast<std::uint8_t>(kNoLevel + 1) == 0);

  const std::uint8_t* levels_;
  Slot slots_;
  bool complete_;
};

}  // namespace

void Hnsw::check(const std::string& path) {
  const std::lock_guard lock(writer_);
  const Layers& layers = *layers_;
  const EdgeRules rules(layers, covered(), nodes());
  const std::size_t base = layers.widths.base;
  const std::size_t upper = layers.widths.upper;
  const auto check_row = [&](const Row& row) {
    if (!rules.hold(row)) rules.explain(row, path);
  };
  parallel_for({covered(), kNodesPerTurn, 0}, [&](const Chunk& chunk) {
    for (std::size_t at = chunk.begin; at < chunk.end; ++at) {
      if (layers.levels[at] == kNoLevel) continue;
      const auto slot = static_cast<Slot>(at);
      check_row({slot, 0, layers.base.data() + at * base, base});
      const Slot* const rows = layers.upper.data() + std::size_t{layers.upper_begin[at]} * upper;
      for (std::size_t level = 1; level <= layers.levels[at]; ++level) {
        check_row({slot, level, rows + (level - 1) * upper, upper});
      }
    }
  });
}

}  // namespace vdb
