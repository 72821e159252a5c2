// An expansion that brings only nodes that pass, by as much looking around as that takes: it chooses for each node by
// the share of its neighbours that pass (NaviX: Sehgal and Salihoglu, VLDB 2025). The pool of a walk then holds nothing
// else, so its width is that of the answer whatever the filter.
//
// Deviations, by counts on real papers (tests/recall/test_filtered_walks.py): three of ten neighbours that pass are
// enough to look no further, and what was seen before counts towards what a hop looks for. A row of edges is read to
// its end, so that it is never read again. Nodes that do not pass are kept as bridges.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/neighbor.h"
#include "index/graph/bridges.h"
#include "index/graph/expansion.h"
#include "index/graph/passing.h"

namespace vdb {

class AdaptiveHop {
 public:
  static constexpr bool kEstimates = false;
  static constexpr std::size_t kAhead = 1;

  // At most `bridges` nodes that do not pass will be walked through.
  AdaptiveHop(const PassingEdges& edges, Surroundings& memory, std::size_t bridges) : edges_(edges), memory_(memory) {
    memory_.around.reset(edges_.width());
    memory_.bridges.reset(bridges);
  }

  std::size_t most() const noexcept { return 2 * edges_.width(); }
  void prefetch(Slot node) const noexcept { edges_.prefetch(node); }
  HopCost spent() const noexcept { return {measured_, edges_.tests()}; }

  // The next node to walk through where none that passes is left; kAbsentSlot: there is none.
  template <class Distance>
  Slot bridge(const Distance& distance) {
    return memory_.bridges.next(distance, measured_);
  }

  template <class Distance>
  void operator()(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) {
    fresh.resize(0);
    Fresh& around = memory_.around;
    std::size_t failing = 0;
    const PassingEdges::Count row =
        edges_.gather(node, distance, visited, fresh, [&](Slot slot, bool counts, bool passes) {
          around.room()[failing] = slot;
          failing += (counts & !passes) ? 1U : 0U;
        });
    around.resize(failing);
    const auto degree = static_cast<float>(row.degree);
    const auto passing = static_cast<float>(row.passing);
    if (passing >= kOneHopShare * degree) return;
    if (kOverlap * passing * (degree + 1) > 2 * degree - passing) {
      look_nearest_first(row.passing, distance, visited, fresh);
    } else {
      look_in_order(row.passing, distance, visited, fresh);
    }
  }

 private:
  // The share of neighbours that pass from which a hop looks no further than them.
  static constexpr float kOneHopShare = 0.3F;
  // Below it, neighbours are measured where their rows will hold enough before all were gone through: the rule is
  // NaviX's, and so is the factor, which discounts that the rows overlap.
  static constexpr float kOverlap = 0.4F;

  // Measures all neighbours that fail and goes through the nearest.
  template <class Distance>
  void look_nearest_first(std::size_t met, const Distance& distance, Visited& visited, Fresh& fresh) {
    Fresh& around = memory_.around;
    std::size_t size = 0;
    for (const Slot slot : around.slots()) {
      around.room()[size] = slot;
      size += visited.mark(slot) ? 1U : 0U;
    }
    around.resize(size);
    visited.remember(around.slots());
    if constexpr (Distance::kShortRows) {
      for (const Slot slot : around.slots()) distance.prefetch_row(slot);
    }
    around.measure(distance);
    measured_ += size;
    sort_around();
    for (const Slot slot : around.slots()) memory_.bridges.note(slot);
    edges_.for_each_row(around.slots(), [&](Slot slot) {
      met += edges_.gather(slot, distance, visited, fresh).passing;
      return met < edges_.width();
    });
  }

  // Puts what was measured in order, nearest first.
  void sort_around() {
    Fresh& around = memory_.around;
    std::vector<Neighbor>& order = memory_.order;
    order.clear();
    for (std::size_t i = 0; i < around.size(); ++i) order.push_back({around.distances()[i], around.slots()[i]});
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i) around.room()[i] = order[i].slot;
  }

  // Goes through the neighbours that fail as they are stored, measuring none.
  template <class Distance>
  void look_in_order(std::size_t met, const Distance& distance, Visited& visited, Fresh& fresh) {
    edges_.for_each_row(memory_.around.slots(), [&](Slot slot) {
      if (!visited.insert(slot)) return true;
      memory_.bridges.note(slot);
      met += edges_.gather(slot, distance, visited, fresh).passing;
      return met < edges_.width();
    });
  }

  PassingEdges edges_;
  Surroundings& memory_;
  std::uint64_t measured_ = 0;
};

}  // namespace vdb
