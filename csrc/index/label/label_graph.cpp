#include "index/label/label_graph.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "core/dimensions.h"

namespace vdb {

LabelGraph::LabelGraph(const LabelParams& params)
    : params_(params),
      published_{std::make_shared<OverlayRows>(0, 0, 2 * params.M), std::make_shared<const Overlays>()} {
  VDB_CHECK(params.M >= 2 && params.M <= 1024, "M must be from 2 to 1024, got " + std::to_string(params.M));
  VDB_CHECK(params.ef_construction >= 1 && params.ef_construction <= 100'000,
            "ef_construction must be from 1 to 100000, got " + std::to_string(params.ef_construction));
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
  VDB_CHECK(params.min_rows >= 1 && params.min_rows <= kMaxSlots,
            "min_rows must be from 1 to 2147483647, got " + std::to_string(params.min_rows));
}

LabelGraph::Published LabelGraph::published() {
  const std::lock_guard lock(published_mutex_);
  return published_;
}

void LabelGraph::publish(Published now) {
  const std::lock_guard lock(published_mutex_);
  published_ = std::move(now);
}

std::shared_ptr<const Overlays> LabelGraph::complete() const {
  auto overlays = std::make_shared<Overlays>();
  for (const HeldOverlay& held : held_) {
    if (held.complete) overlays->push_back(held.overlay);
  }
  return overlays;
}

void LabelGraph::reserve(std::size_t slots, std::size_t rows) {
  VDB_CHECK(rows < OverlayRows::kNone, "overlays hold at most 4294967294 rows, got " + std::to_string(rows));
  const Published now = published();
  const OverlayRows& old = *now.rows;
  if (slots <= old.slots() && rows <= old.rows()) return;
  // Exact for the first load, by half more for appends, so that a row at a time costs amortised constant copying.
  const auto room = [](std::size_t needed, std::size_t have) {
    return needed <= have ? have : std::max(needed, have + have / 2);
  };
  publish({std::make_shared<OverlayRows>(old, room(slots, old.slots()), room(rows, old.rows())), now.overlays});
}

void LabelGraph::drop_unused() {
  std::size_t needed = 0;
  for (const HeldOverlay& held : held_) needed += held.overlay.nodes;
  if (used_rows_ - needed <= needed) return;
  std::vector<std::uint32_t> new_number(next_number_, OverlayRows::kNone);
  next_number_ = 0;
  for (HeldOverlay& held : held_) {
    new_number[held.overlay.number] = next_number_;
    held.overlay.number = next_number_++;
  }
  publish({published().rows->packed(new_number, needed), complete()});
  used_rows_ = needed;
}

void LabelGraph::check_view(const VectorView& view) const {
  VDB_CHECK(view.dim == params_.dim,
            "the vectors have " + std::to_string(view.dim) + " dimensions, the graph " + std::to_string(params_.dim));
  VDB_CHECK(view.metric == params_.metric, "the vectors are bound to metric " + std::string(name_of(view.metric)) +
                                               ", the graph to " + std::string(name_of(params_.metric)));
}

void LabelGraph::check_codes(const CodeStore* codes) const {
  VDB_CHECK(codes == nullptr || (codes->params().dim == params_.dim && codes->params().metric == params_.metric),
            "the codes are of vectors of another dimension or metric");
}

std::vector<std::uint32_t> LabelGraph::labels() {
  const Published now = published();
  std::vector<std::uint32_t> labels;
  for (const Overlay& overlay : *now.overlays) labels.push_back(overlay.label);
  return labels;
}

std::size_t LabelGraph::count(std::uint32_t label) {
  const Published now = published();
  const Overlay* const overlay = find_overlay(*now.overlays, label);
  return overlay == nullptr ? 0 : overlay->nodes;
}

std::size_t LabelGraph::nodes() {
  const Published now = published();
  std::size_t nodes = 0;
  for (const Overlay& overlay : *now.overlays) nodes += overlay.nodes;
  return nodes;
}

std::size_t LabelGraph::memory_bytes() {
  return published().rows->bytes() + members_bytes_.load(std::memory_order_relaxed);
}

std::vector<Slot> LabelGraph::neighbors(std::uint32_t label, Slot slot) {
  const std::lock_guard lock(writer_);
  const Published now = published();
  const Overlay* const overlay = find_overlay(*now.overlays, label);
  const bool present =
      overlay != nullptr && slot < now.rows->slots() && now.rows->find(slot, overlay->number) != OverlayRows::kNone;
  VDB_CHECK(present, "slot " + std::to_string(slot) + " is not in an overlay of label " + std::to_string(label));
  std::vector<Slot> found;
  OverlayEdges(*now.rows, overlay->number).for_each(slot, [&](Slot neighbor) { found.push_back(neighbor); });
  return found;
}

}  // namespace vdb
