// How a batch of new nodes is joined to a graph: the edges it chose are turned round and merged target by target, in
// parallel and without locks, so that nothing depends on which thread did what (ParlayANN: Dobson et al., PPoPP 2024).
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <tuple>
#include <vector>

#include "base/thread_pool.h"
#include "core/distance.h"
#include "core/neighbor.h"
#include "core/vectors.h"
#include "index/graph/adjacency.h"
#include "index/graph/prune.h"
#include "index/graph/scratch.h"

namespace vdb {

// Nodes of one batch do not see each other, so a batch is a small part of the graph it joins.
inline constexpr std::size_t kBatchDivisor = 64;
inline constexpr std::size_t kMaxBatch = 4096;
inline std::size_t batch_size(std::size_t nodes) noexcept {
  return std::clamp<std::size_t>(nodes / kBatchDivisor, 1, kMaxBatch);
}
// Nodes of a batch per turn of a thread.
inline constexpr std::size_t kNodesPerChunk = 4;

// What a batch added to other nodes: `source`, at that distance, is a new neighbour of `target` in one table of edges,
// the number of which is the graph's own (a level, a layer, a label).
struct ReverseEdge {
  std::size_t table;
  Slot target;
  Neighbor source;

  friend bool operator<(const ReverseEdge& a, const ReverseEdge& b) noexcept {
    return std::tie(a.table, a.target, a.source) < std::tie(b.table, b.target, b.source);
  }
  bool same_row(const ReverseEdge& other) const noexcept { return table == other.table && target == other.target; }
};

// The reverse edges of a batch, kept from one batch to the next for their memory.
class ReverseEdges {
 public:
  void clear() noexcept { edges_.clear(); }
  void add(std::size_t table, Slot target, const Neighbor& source) { edges_.push_back({table, target, source}); }

  // Calls merge(run, scratch) for every row that gains edges, on several threads, each row once; the edges of a run
  // share table and target, the nearest source first.
  template <class Merge>
  void for_each_row(std::size_t threads, ScratchPool& scratches, Merge&& merge) {
    std::sort(edges_.begin(), edges_.end());
    begins_.clear();
    for (std::size_t i = 0; i < edges_.size(); ++i) {
      if (i == 0 || !edges_[i].same_row(edges_[i - 1])) begins_.push_back(i);
    }
    begins_.push_back(edges_.size());
    parallel_for({begins_.size() - 1, kRowsPerChunk, threads}, [&](const Chunk& chunk) {
      const ScratchPool::Handle scratch = scratches.take();
      for (std::size_t r = chunk.begin; r < chunk.end; ++r) {
        merge(std::span<const ReverseEdge>(edges_.data() + begins_[r], begins_[r + 1] - begins_[r]), *scratch);
      }
    });
  }

 private:
  static constexpr std::size_t kRowsPerChunk = 16;

  std::vector<ReverseEdge> edges_;
  std::vector<std::size_t> begins_;  // where each row's run begins, and the end
};

// Whether the row of edges.front().target has room for the sources of `edges`, which share their target.
inline bool has_room(const Adjacency& adjacency, std::span<const ReverseEdge> edges) noexcept {
  return adjacency.degree(edges.front().target) + edges.size() <= adjacency.width();
}

// Leaves the row of edges.front().target in scratch.row, and it and the sources of `edges`, sorted by distance, in
// scratch.neighbors.
template <class Distance, class Table>
void list_candidates(const VectorView& view, const Table& adjacency, std::span<const ReverseEdge> edges,
                     Scratch& scratch) {
  const Slot target = edges.front().target;
  auto& row = scratch.row;
  row.clear();
  adjacency.for_each(target, [&](Slot neighbor) { row.push_back(neighbor); });
  auto& candidates = scratch.neighbors;
  candidates.clear();
  for_each_distance(Distance(view, target), row, [&](Slot slot, float d) { candidates.push_back({d, slot}); });
  for (const ReverseEdge& edge : edges) candidates.push_back(edge.source);
  std::sort(candidates.begin(), candidates.end());
}

// Adds the sources of `edges`, which share their target, to its row. Where they do not fit, choose(candidates, kept) is
// given all of the row, sorted by distance, and leaves in `kept` what stays. Table: an Adjacency, or what has its
// width(), for_each() and store().
template <class Distance, class Table, class Choose>
void merge_row(const VectorView& view, const Table& adjacency, std::span<const ReverseEdge> edges, Scratch& scratch,
               Choose&& choose) {
  const Slot target = edges.front().target;
  auto& row = scratch.row;
  row.clear();
  adjacency.for_each(target, [&](Slot neighbor) { row.push_back(neighbor); });
  if (row.size() + edges.size() <= adjacency.width()) {
    for (const ReverseEdge& edge : edges) row.push_back(edge.source.slot);
  } else {
    list_candidates<Distance>(view, adjacency, edges, scratch);
    choose(std::span<const Neighbor>(scratch.neighbors), scratch.selected);
    row.clear();
    for (const Neighbor& kept : scratch.selected) row.push_back(kept.slot);
  }
  adjacency.store(target, row);
}

// Replaces the estimates of scratch.neighbors, which a walk by codes found, by distances.
template <class Distance>
void measure_found(const Distance& distance, Scratch& scratch) {
  scratch.row.clear();
  for (const Neighbor& neighbor : scratch.neighbors) scratch.row.push_back(neighbor.slot);
  scratch.neighbors.clear();
  for_each_distance(distance, scratch.row, [&](Slot slot, float d) { scratch.neighbors.push_back({d, slot}); });
  std::sort(scratch.neighbors.begin(), scratch.neighbors.end());
}

}  // namespace vdb
