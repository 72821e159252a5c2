// The direct neighbours of a node within one overlay: OneHop, once the node's row there is found.
#pragma once

#include <cstddef>
#include <cstdint>

#include "index/graph/expansion.h"
#include "index/label/overlay_rows.h"

namespace vdb {

class LabelHop {
 public:
  static constexpr bool kEstimates = OneHop::kEstimates;
  static constexpr std::size_t kAhead = OneHop::kAhead;

  LabelHop(OverlayRows& rows, std::uint32_t overlay, std::size_t limit) noexcept
      : rows_(rows), overlay_(overlay), by_row_{rows.by_row(), limit} {}

  std::size_t most() const noexcept { return by_row_.most(); }

  template <class Distance>
  void operator()(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) const noexcept {
    const std::uint32_t row = rows_.find(node, overlay_);
    if (row == OverlayRows::kNone) return fresh.resize(0);
    by_row_(row, distance, visited, fresh);
  }

  void prefetch(Slot node) const noexcept {
    const std::uint32_t row = rows_.find(node, overlay_);
    if (row != OverlayRows::kNone) by_row_.prefetch(row);
  }

 private:
  OverlayRows& rows_;
  std::uint32_t overlay_;
  OneHop by_row_;  // it takes the number of a row for that of a node
};

}  // namespace vdb
