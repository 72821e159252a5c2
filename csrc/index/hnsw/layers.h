// The arrays of an HNSW graph: level 0 as one table of fixed rows, the few upper rows packed beside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "core/slot.h"
#include "index/graph/adjacency.h"

namespace vdb {

// Marks a slot that is not in the graph: a row without a vector, or a deleted one.
inline constexpr std::uint8_t kNoLevel = 255;

// The edges of a node on one level.
struct EdgeRow {
  Slot slot;
  std::size_t level;
};

// Edges there is room for in a row of level 0 and of the levels above, and how many of its first an insertion and any
// descent without a filter read.
struct EdgeWidths {
  std::size_t base;
  std::size_t upper;
  std::size_t walked;
};

struct Layers {
  Layers(std::size_t slots, std::size_t upper_rows, const EdgeWidths& widths);
  // The same graph with room for more.
  Layers(const Layers& smaller, std::size_t slots, std::size_t upper_rows);
  // Of arrays that fit each other; `upper_begin` follows from the levels.
  Layers(AlignedBuffer<Slot> base_rows, AlignedBuffer<Slot> upper_rows, AlignedBuffer<std::uint8_t> top_levels,
         const EdgeWidths& widths);

  std::size_t slots() const noexcept { return levels.size(); }
  std::size_t upper_rows() const noexcept { return upper.size() / widths.upper; }
  std::size_t bytes() const noexcept { return base.bytes() + upper.bytes() + levels.bytes() + upper_begin.bytes(); }

  // Edges of one level.
  Adjacency edges(std::size_t level) noexcept {
    if (level == 0) return {base.data(), widths.base};
    return {upper.data(), widths.upper, upper_begin.data(), level - 1};
  }
  // Of those, the ones that an insertion and a descent without a filter read.
  Adjacency walked(std::size_t level) noexcept { return edges(level).head(widths.walked); }

  // The upper rows of the nodes among the first `slots`, without those of nodes that left the graph.
  std::vector<Slot> upper_in_slot_order(std::size_t slots) const;

  EdgeWidths widths;
  AlignedBuffer<Slot> base;                  // (slots, widths.base)
  AlignedBuffer<Slot> upper;                 // (upper_rows, widths.upper), levels 1.. of each node, nodes in slot order
  AlignedBuffer<std::uint8_t> levels;        // (slots,) top level of the node
  AlignedBuffer<std::uint32_t> upper_begin;  // (slots,) the node's first upper row
};

}  // namespace vdb
