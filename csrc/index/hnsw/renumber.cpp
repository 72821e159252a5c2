// The same graph under other slot numbers, for a table that gave up the slots of its dead rows.
#include "core/slot_numbers.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
std::unique_ptr<Hnsw> Hnsw::renumbered(std::span<const Slot> new_slot_of, std::size_t slots) {
  const std::lock_guard lock(writer_);
  const std::size_t covered_then = covered_after(new_slot_of, slots, covered());
  const auto number_of = [&](std::size_t slot) {
    return layers_->levels[slot] == kNoLevel ? kAbsentSlot : new_slot_of[slot];
  };
  std::size_t upper_rows = 0;
  for (std::size_t slot = 0; slot < covered(); ++slot) {
    if (number_of(slot) != kAbsentSlot) upper_rows += layers_->levels[slot];
  }
  auto graph = std::make_unique<Hnsw>(params_);
  graph->covered_.store(covered_then, std::memory_order_release);
  graph->changed_.assign(graph->covered(), 1);
  if (codes_) graph->codes_ = codes_->renumbered(new_slot_of, graph->covered());
  graph->layers_ = std::make_shared<Layers>(graph->covered(), upper_rows, layers_->widths);
  std::vector<Slot> row;
  for (std::size_t slot = 0; slot < covered(); ++slot) {
    const Slot number = number_of(slot);
    if (number == kAbsentSlot) continue;
    Layers& layers = *graph->layers_;
    layers.levels[number] = layers_->levels[slot];
    layers.upper_begin[number] = static_cast<std::uint32_t>(graph->used_upper_rows_);
    graph->used_upper_rows_ += layers.levels[number];
    for (std::size_t level = 0; level <= layers.levels[number]; ++level) {
      row.clear();
      layers_->edges(level).for_each(static_cast<Slot>(slot), [&](Slot neighbor) {
        if (new_slot_of[neighbor] != kAbsentSlot) row.push_back(new_slot_of[neighbor]);
      });
      layers.edges(level).store(number, row);
    }
    graph->nodes_.fetch_add(1, std::memory_order_relaxed);
  }
  graph->restore_entries();
  return graph;
}

}  // namespace vdb
