// The edges of HNSW: those that spread in all directions (Malkov and Yashunin 2018, algorithm 4), rows in no order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "index/graph/prune.h"
#include "index/hnsw/params.h"
#include "index/hnsw/row_choice.h"

namespace vdb {

class HnswEdges {
 public:
  explicit HnswEdges(const HnswParams& params) noexcept : M_(params.M), ef_construction_(params.ef_construction) {}

  EdgeWidths widths() const noexcept { return {2 * M_, M_, 2 * M_}; }
  // Nodes an insertion looks for, to choose among them.
  std::size_t candidates() const noexcept { return ef_construction_; }
  // Level 0 is denser than the heuristic alone would have it: up to 2M edges from the start, and at least 3M/2. A hop
  // costs as much as the estimates of several neighbours, so a walk by codes finds more in the same time.
  EdgeCounts counts(std::size_t level) const noexcept {
    return level == 0 ? EdgeCounts{2 * M_, 3 * M_ / 2} : EdgeCounts{M_};
  }
  // Of a node that lost most of its neighbours and looks for others.
  EdgeCounts relinked(std::size_t) const noexcept { return {M_}; }

  // Some of `candidates`, sorted by distance to the node, into `kept`, nearest first.
  template <class Distance>
  void choose(const RowChoice& row, std::span<const Neighbor> candidates, const EdgeCounts& counts,
              std::vector<Neighbor>& kept) const {
    select_neighbors<Distance>(row.view, candidates, counts, kept);
  }

  // Gives every row its new neighbours.
  template <class Distance>
  void join(const BatchJoin& batch) const {
    batch.reverse.for_each_row(
        batch.threads, batch.scratches, [&](std::span<const ReverseEdge> edges, Scratch& scratch) {
          const std::size_t level = edges.front().table;
          merge_row<Distance>(batch.view, batch.layers.edges(level), edges, scratch,
                              [&](std::span<const Neighbor> candidates, std::vector<Neighbor>& kept) {
                                select_neighbors<Distance>(batch.view, candidates, counts(level), kept);
                              });
        });
  }

  // The living stay, and in the places of the dead come first such as spread in new directions, then the nearest.
  // Choosing all edges anew would leave a third fewer: rows have more than the heuristic would choose, for others
  // linked to them.
  template <class Distance>
  void refill(const TornChoice& torn, std::vector<Neighbor>& links) const {
    links.clear();
    for (const Slot slot : torn.living) links.push_back({0, slot});
    std::vector<Neighbor> rest;
    for (const Neighbor& candidate : torn.others) {
      if (links.size() == torn.degree) return;
      (detail::occluded<Distance>(torn.row.view, candidate, links) ? rest : links).push_back(candidate);
    }
    const std::size_t wanted = std::min(rest.size(), torn.degree - links.size());
    links.insert(links.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(wanted));
  }

  // Brings a row that was put together edge by edge into the order of this rule.
  template <class Distance>
  void arrange(const VectorView&, Slot, std::vector<Slot>&) const noexcept {}

 private:
  std::size_t M_;
  std::size_t ef_construction_;
};

}  // namespace vdb
