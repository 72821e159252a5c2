// The edges of all overlays in one table: a row for each slot in each overlay it is in. The rows of a slot are a chain,
// the newest first; rows are only added, so searches read them beside the one writer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "core/slot.h"
#include "index/graph/adjacency.h"

namespace vdb {

class OverlayRows {
 public:
  // No row, or none behind it.
  static constexpr std::uint32_t kNone = 0xffffffffU;

  struct Link {
    std::uint32_t overlay;  // its number
    std::uint32_t next;     // the slot's row before this one, always a lower number
  };

  OverlayRows(std::size_t slots, std::size_t rows, std::size_t width);
  // The same rows with room for more.
  OverlayRows(const OverlayRows& smaller, std::size_t slots, std::size_t rows);
  // Of arrays that fit each other.
  OverlayRows(AlignedBuffer<std::uint32_t> heads, AlignedBuffer<Link> links, AlignedBuffer<Slot> edges,
              std::size_t width);

  std::size_t slots() const noexcept { return heads_.size(); }
  std::size_t rows() const noexcept { return links_.size(); }
  std::size_t bytes() const noexcept { return heads_.bytes() + links_.bytes() + edges_.bytes(); }

  // The row of `slot` in an overlay, kNone where it has none.
  std::uint32_t find(Slot slot, std::uint32_t overlay) noexcept {
    std::uint32_t row = head(slot);
    while (row != kNone && links_[row].overlay != overlay) row = links_[row].next;
    return row;
  }

  // Calls visit(row, link) for each row of `slot`, the newest first.
  template <class Visit>
  void for_each_row(Slot slot, Visit&& visit) {
    for (std::uint32_t row = head(slot); row != kNone; row = links_[row].next) visit(row, links_[row]);
  }

  // Makes `row`, which nobody uses yet, that of `slot` in an overlay. The writer's.
  void add(Slot slot, std::uint32_t overlay, std::uint32_t row, std::span<const Slot> neighbors) noexcept {
    links_[row] = {overlay, head(slot)};
    by_row().store(row, neighbors);
    std::atomic_ref<std::uint32_t>(heads_[slot]).store(row, std::memory_order_release);
  }

  // Edges by row, where an Adjacency has them by slot.
  Adjacency by_row() noexcept { return {edges_.data(), width_}; }

  // The rows of the overlays that have a new number, by the old one; kNone drops an overlay. `rows` are left.
  std::shared_ptr<OverlayRows> packed(std::span<const std::uint32_t> new_number, std::size_t rows);

  std::span<const std::uint32_t> heads() const noexcept { return heads_.span(); }
  std::span<const Link> links() const noexcept { return links_.span(); }
  std::span<const Slot> edges() const noexcept { return edges_.span(); }

 private:
  // Acquire: the link and the edges of the row are visible to whoever sees its number.
  std::uint32_t head(Slot slot) noexcept {
    return std::atomic_ref<std::uint32_t>(heads_[slot]).load(std::memory_order_acquire);
  }

  AlignedBuffer<std::uint32_t> heads_;  // (slots,) newest row of each
  AlignedBuffer<Link> links_;           // (rows,)
  AlignedBuffer<Slot> edges_;           // (rows, width)
  std::size_t width_;
};

// One overlay of them, as linking sees the edges of a graph. A slot without a row has no edges and gets none.
class OverlayEdges {
 public:
  OverlayEdges(OverlayRows& rows, std::uint32_t overlay) noexcept
      : rows_(rows), by_row_(rows.by_row()), overlay_(overlay) {}

  std::size_t width() const noexcept { return by_row_.width(); }

  template <class Visit>
  void for_each(Slot slot, Visit&& visit) const {
    const std::uint32_t row = rows_.find(slot, overlay_);
    if (row != OverlayRows::kNone) by_row_.for_each(row, std::forward<Visit>(visit));
  }

  void store(Slot slot, std::span<const Slot> neighbors) const noexcept {
    const std::uint32_t row = rows_.find(slot, overlay_);
    if (row != OverlayRows::kNone) by_row_.store(row, neighbors);
  }

 private:
  OverlayRows& rows_;
  Adjacency by_row_;
  std::uint32_t overlay_;
};

}  // namespace vdb
