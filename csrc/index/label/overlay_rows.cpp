#include "index/label/overlay_rows.h"

#include <algorithm>

namespace vdb {

OverlayRows::OverlayRows(std::size_t slots, std::size_t rows, std::size_t width)
    : heads_(slots, kNone), links_(rows, {kNone, kNone}), edges_(rows * width, kAbsentSlot), width_(width) {}

OverlayRows::OverlayRows(const OverlayRows& smaller, std::size_t slots, std::size_t rows)
    : heads_(smaller.heads_.grown(slots, kNone)),
      links_(smaller.links_.grown(rows, {kNone, kNone})),
      edges_(smaller.edges_.grown(rows * smaller.width_, kAbsentSlot)),
      width_(smaller.width_) {}

OverlayRows::OverlayRows(AlignedBuffer<std::uint32_t> heads, AlignedBuffer<Link> links, AlignedBuffer<Slot> edges,
                         std::size_t width)
    : heads_(std::move(heads)), links_(std::move(links)), edges_(std::move(edges)), width_(width) {}

std::shared_ptr<OverlayRows> OverlayRows::packed(std::span<const std::uint32_t> new_number, std::size_t rows) {
  auto packed = std::make_shared<OverlayRows>(slots(), rows, width_);
  std::uint32_t used = 0;
  std::vector<std::uint32_t> chain;
  for (std::size_t at = 0; at < slots(); ++at) {
    const auto slot = static_cast<Slot>(at);
    chain.clear();
    for_each_row(slot, [&](std::uint32_t row, const Link& link) {
      if (new_number[link.overlay] != kNone) chain.push_back(row);
    });
    std::reverse(chain.begin(), chain.end());  // the oldest comes first, as it did
    for (const std::uint32_t row : chain) {
      const std::span<const Slot> neighbors(edges_.data() + std::size_t{row} * width_, width_);
      packed->add(slot, new_number[links_[row].overlay], used++, neighbors);
    }
  }
  return packed;
}

}  // namespace vdb
