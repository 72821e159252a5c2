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

struct Layers {
  Layers(std::size_t slots, std::size_t upper_rows, std::size_t M);
  // The same graph with room for more.
  Layers(const Layers& smaller, std::size_t slots, std::size_t upper_rows, std::size_t M);
  // Of arrays that fit each other; `upper_begin` follows from the levels.
  Layers(AlignedBuffer<Slot> base_rows, AlignedBuffer<Slot> upper_rows, AlignedBuffer<std::uint8_t> top_levels);

  std::size_t slots() const noexcept { return levels.size(); }
  std::size_t upper_rows(std::size_t M) const noexcept { return upper.size() / M; }
  std::size_t bytes() const noexcept { return base.bytes() + upper.bytes() + levels.bytes() + upper_begin.bytes(); }

  // Edges of one level: 2M wide on level 0, M above.
  Adjacency edges(std::size_t level, std::size_t M) noexcept {
    if (level == 0) return {base.data(), 2 * M};
    return {upper.data(), M, upper_begin.data(), level - 1};
  }

  // The upper rows of the nodes among the first `slots`, without those of nodes that left the graph.
  std::vector<Slot> upper_in_slot_order(std::size_t slots, std::size_t M) const;

  AlignedBuffer<Slot> base;                  // (slots, 2M)
  AlignedBuffer<Slot> upper;                 // (upper_rows, M), levels 1.. of each node, nodes in slot order
  AlignedBuffer<std::uint8_t> levels;        // (slots,) top level of the node
  AlignedBuffer<std::uint32_t> upper_begin;  // (slots,) the node's first upper row
};

}  // namespace vdb
