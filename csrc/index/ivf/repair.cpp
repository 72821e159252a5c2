// Rows leave their lists, or move to other slots. Neither reads a vector.
#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "core/slot_numbers.h"
#include "index/ivf/draft.h"
#include "index/ivf/ivf.h"

namespace vdb {

bool Ivf::repair(const VectorView& view, const IvfRepair& options) {
  check_view(view);
  const std::lock_guard lock(writer_);
  const auto now = state();
  const RowSet& alive = *options.alive;
  if (view.n < now->covered) return false;
  VDB_CHECK(alive.size() >= now->covered,
            "the row set covers " + std::to_string(alive.size()) + " slots, the index " + std::to_string(now->covered));
  if (!now->model) return true;
  Draft draft(*now);
  const auto number_of = [&](Slot slot) { return alive.contains(slot) ? slot : kAbsentSlot; };
  std::size_t at = std::min(repaired_, now->lists.size());
  for (std::size_t looked = 0; at < now->lists.size() && looked < options.steps; ++at) {
    if (options.cancel->poll()) throw Cancelled();
    const List& list = *now->lists[at];
    looked += std::max<std::size_t>(list.rows, 1);
    bool dead = false;
    for (std::size_t row = 0; row < list.rows && !dead; ++row) dead = !alive.contains(list.slots[row]);
    if (dead) draft.renumber(at, number_of);
  }
  const bool done = at == now->lists.size();
  publish(draft.finish(now->covered));
  repaired_ = done ? 0 : at;
  return done;
}

std::unique_ptr<Ivf> Ivf::renumbered(std::span<const Slot> new_slot_of, std::size_t slots) const {
  const auto now = state();
  const std::size_t covered = covered_after(new_slot_of, slots, now->covered);
  auto index = std::make_unique<Ivf>(params_);
  if (!now->model) return index;
  Draft draft(*now);
  for (std::size_t i = 0; i < now->lists.size(); ++i) {
    draft.renumber(i, [&](Slot slot) { return new_slot_of[slot]; });
  }
  index->publish(draft.finish(covered));
  return index;
}

}  // namespace vdb
