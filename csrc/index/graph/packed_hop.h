// An expansion that reads packed neighbours: it brings slots with estimated distances, none for a node without a block.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "base/prefetch.h"
#include "core/distance.h"
#include "core/neighbor.h"
#include "index/graph/fresh.h"
#include "index/graph/packed_codes.h"
#include "index/graph/packed_query.h"
#include "index/graph/visited.h"

namespace vdb {

// Whoever searches with it holds codes.read() as long. A neighbour that is not brought may come again, from another
// node, with another estimate: only what is brought counts as seen.
class PackedHop {
 public:
  static constexpr bool kEstimates = true;
  // A block and a row are some 50 cache lines at 384 dimensions, which take longer to come than one hop lasts. Three
  // nodes on their way made a walk a fifth faster than one, at equal recall; more did not.
  static constexpr std::size_t kAhead = 3;

  // Brings slots below `limit`.
  PackedHop(const PackedCodes& codes, const PackedQuery& query, std::size_t limit) noexcept
      : codes_(codes), query_(query), limit_(limit) {}

  std::size_t most() const noexcept { return codes_.layout().groups * PackedLayout::kGroup; }
  void prefetch(Slot node) const noexcept { codes_.prefetch(node); }

  // The neighbours of a measured node that are estimated below `bar`, all of them where it is infinite.
  void operator()(const Neighbor& node, float bar, Visited& visited, Fresh& fresh) const noexcept {
    fresh.resize(0);
    const std::uint8_t* const block = codes_.block(node.slot);
    if (block == nullptr) return;
    for (std::size_t g = 0; g < codes_.layout().groups; ++g) add_group(block, g, {node.distance, bar}, visited, fresh);
  }

 private:
  void add_group(const std::uint8_t* block, std::size_t g, const PackedScanKernels::Bounds& bounds, Visited& visited,
                 Fresh& fresh) const noexcept {
    alignas(kCacheLineBytes) std::array<float, PackedLayout::kGroup> estimates;
    std::uint32_t nearer = query_.estimate(block, g, bounds, estimates.data());
    const Slot* const slots = codes_.layout().slots(block, g);
    if (!(bounds.threshold < std::numeric_limits<float>::infinity())) nearer = present(slots);
    const std::size_t end = std::min(limit_, visited.size());
    std::size_t size = fresh.size();
    for (; nearer != 0; nearer &= nearer - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(nearer));
      if (slots[i] >= end) continue;
      fresh.room()[size] = slots[i];
      fresh.distance_room()[size] = ordered(estimates[i]);
      size += visited.mark(slots[i]) ? 1U : 0U;
    }
    visited.remember(std::span(fresh.room(), size).subspan(fresh.size()));
    fresh.resize(size);
  }

  static std::uint32_t present(const Slot* slots) noexcept {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < PackedLayout::kGroup; ++i) bits |= (slots[i] != kAbsentSlot ? 1U : 0U) << i;
    return bits;
  }

  const PackedCodes& codes_;
  const PackedQuery& query_;
  std::size_t limit_;
};

}  // namespace vdb
