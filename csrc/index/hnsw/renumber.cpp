// The same graph under other slot numbers, for a table that gave up the slots of its dead rows.
#include <algorithm>
#include <string>

#include "base/check.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Slots of the old numbering that stay below `end`, after checking that their new numbers rise and are below `slots`.
void check_numbers(std::span<const Slot> new_slot_of, std::size_t slots) {
  std::uint64_t least = 0;
  for (std::size_t slot = 0; slot < new_slot_of.size(); ++slot) {
    const Slot number = new_slot_of[slot];
    if (number == kAbsentSlot) continue;
    VDB_CHECK(number >= least && number < slots, "slot " + std::to_string(slot) + " becomes " + std::to_string(number) +
                                                     ", expected a number from " + std::to_string(least) +
                                                     " to below " + std::to_string(slots));
    least = std::uint64_t{number} + 1;
  }
}

}  // namespace

std::unique_ptr<Hnsw> Hnsw::renumbered(std::span<const Slot> new_slot_of, std::size_t slots) {
  const std::lock_guard lock(writer_);
  VDB_CHECK(new_slot_of.size() >= covered(), "numbers for " + std::to_string(new_slot_of.size()) +
                                                 " slots, the graph covers " + std::to_string(covered()));
  VDB_CHECK(slots <= kMaxSlots, "a graph holds at most 2147483647 slots, got " + std::to_string(slots));
  check_numbers(new_slot_of, slots);
  const auto number_of = [&](std::size_t slot) {
    return layers_->levels[slot] == kNoLevel ? kAbsentSlot : new_slot_of[slot];
  };
  std::size_t upper_rows = 0;
  for (std::size_t slot = 0; slot < covered(); ++slot) {
    if (number_of(slot) != kAbsentSlot) upper_rows += layers_->levels[slot];
  }
  // Rows that the graph did not cover are not covered under their new numbers.
  const auto beyond = new_slot_of.subspan(covered());
  const auto first = std::find_if(beyond.begin(), beyond.end(), [](Slot number) { return number != kAbsentSlot; });
  auto graph = std::make_unique<Hnsw>(params_);
  graph->covered_.store(first == beyond.end() ? slots : *first, std::memory_order_release);
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
