// The expansion of ACORN-1 (Patel et al., SIGMOD 2024): of the neighbours of a node and of their neighbours, the first
// that pass, as many as a row has places. As in the released code, those seen before fill places too.
//
// Deviation: a row of edges is read to its end, so a hop may bring some more.
#pragma once

#include <cstddef>

#include "index/graph/bridges.h"
#include "index/graph/expansion.h"
#include "index/graph/passing.h"

namespace vdb {

class TwoHop {
 public:
  static constexpr bool kEstimates = false;
  static constexpr std::size_t kAhead = 1;

  TwoHop(const PassingEdges& edges, Surroundings& memory) : edges_(edges), memory_(memory) {
    memory_.around.reset(edges_.width());
  }

  std::size_t most() const noexcept { return 2 * edges_.width(); }
  void prefetch(Slot node) const noexcept { edges_.prefetch(node); }
  HopCost spent() const noexcept { return {0, edges_.tests()}; }

  template <class Distance>
  void operator()(Slot node, const Distance& distance, Visited& visited, Fresh& fresh) noexcept {
    fresh.resize(0);
    Fresh& around = memory_.around;
    std::size_t degree = 0;
    std::size_t met = edges_
                          .gather(node, distance, visited, fresh,
                                  [&](Slot slot, bool counts, bool) {
                                    around.room()[degree] = slot;
                                    degree += counts ? 1U : 0U;
                                  })
                          .passing;
    around.resize(degree);
    if (met >= edges_.width()) return;
    edges_.for_each_row(around.slots(), [&](Slot slot) {
      met += edges_.gather(slot, distance, visited, fresh).passing;
      return met < edges_.width();
    });
  }

 private:
  PassingEdges edges_;
  Surroundings& memory_;
};

}  // namespace vdb
