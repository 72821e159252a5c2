// Neighbour-packed 1-bit codes (SymphonyQG: Gou, Gao, Xu and Long, SIGMOD 2025): for each node of a graph's base level
// a block with the codes of all its neighbours, so that a walk that pops the node estimates their distances from one
// contiguous read and touches no neighbour that is not worth it. Derived data: made of vectors and edges, at any time.
//
// One writer; searches read meanwhile. A block is never changed where a reader may see it: a new version is written
// elsewhere, then named by the slot's entry, and the place of the old one is used again once all earlier readers have
// ended. A block holds the slots of its neighbours, so codes and edges are of one moment, though the adjacency may be
// newer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "core/rotation.h"
#include "core/vectors.h"
#include "index/graph/adjacency.h"
#include "index/graph/packed_layout.h"
#include "index/graph/packed_readers.h"

namespace vdb {

struct PackedParams {
  std::size_t dim;
  Metric metric;
  std::size_t degree;      // most neighbours of a node
  std::uint64_t seed = 0;  // of the rotation
  // A typical row, such as the mean (of normalised rows under cosine); empty for the origin. Estimates are the better
  // the nearer the rows lie to it.
  std::vector<float> centre{};
};

class PackedCodes {
 public:
  // Room for the blocks of slots below `slots`. InvalidArgument where dim, degree or the centre's length is out of
  // range.
  PackedCodes(const PackedParams& params, std::size_t slots);
  // The same blocks with room for more; searches may go on reading `smaller`, which is then not to be rebuilt.
  PackedCodes(const PackedCodes& smaller, std::size_t slots);

  const PackedParams& params() const noexcept { return params_; }
  const PackedLayout& layout() const noexcept { return layout_; }
  const Rotation& rotation() const noexcept { return *rotation_; }
  std::span<const float> centre() const noexcept { return centre_; }  // rotated
  std::size_t slots() const noexcept { return row_of_.size(); }
  std::size_t memory_bytes() const noexcept;

  // Encodes the edges that `nodes` have in `edges`, on `threads` threads (0: all); the same blocks for any number.
  // It may wait for readers, so its own thread must not be one.
  // Nodes that come new should stand before those that link to them: a node without a block leads nowhere. Cancelled
  // leaves each block old or new. InvalidArgument for a slot outside and where the view does not fit.
  void rebuild(const VectorView& view, const Adjacency& edges, std::span<const Slot> nodes, std::size_t threads,
               CancelToken* cancel);
  // Gives back the blocks of these nodes.
  void forget(std::span<const Slot> nodes);

  // Blocks may be looked up and read while the handle lives.
  PackedReaders::Reading read() const noexcept { return readers_.read(); }
  // Null where the node has none.
  const std::uint8_t* block(Slot slot) const noexcept {
    const std::uint32_t row = std::atomic_ref<std::uint32_t>(entry(slot)).load(std::memory_order_acquire);
    return row == kNoRow ? nullptr : rows_.data() + std::size_t{row} * layout_.block_bytes();
  }
  void prefetch(Slot slot) const noexcept {
    const std::uint32_t row = std::atomic_ref<std::uint32_t>(entry(slot)).load(std::memory_order_relaxed);
    if (row == kNoRow) return;
    prefetch_lines(rows_.data() + std::size_t{row} * layout_.block_bytes(), lines_of(layout_.block_bytes()));
  }

 private:
  static constexpr std::uint32_t kNoRow = 0xffffffffU;

  // atomic_ref takes no const object.
  std::uint32_t& entry(Slot slot) const noexcept { return const_cast<std::uint32_t*>(row_of_.data())[slot]; }
  void check(const VectorView& view, const Adjacency& edges, std::span<const Slot> nodes) const;
  void reclaim();
  void rebuild_some(const VectorView& view, const Adjacency& edges, std::span<const Slot> nodes, std::size_t threads);

  PackedParams params_;
  std::shared_ptr<const Rotation> rotation_;
  std::vector<float> centre_;
  PackedLayout layout_;
  AlignedBuffer<std::uint8_t> rows_;     // (slots + spare, block_bytes)
  AlignedBuffer<std::uint32_t> row_of_;  // (slots,) the node's row, kNoRow for none; atomics
  std::vector<std::uint32_t> free_;      // the next at the end
  std::vector<std::uint32_t> retired_;   // replaced, perhaps still read
  mutable PackedReaders readers_;
};

}  // namespace vdb
