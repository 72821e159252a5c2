// The edges of ACORN-gamma (Patel et al., SIGMOD 2024): a node keeps the nearest of the gamma * M it finds, however
// they lie to each other, for the node in the middle may fail a filter. On level 0 it leaves out what two hops lead to.
// Deviations from the paper: rows are sorted by distance, each edge that comes later takes its place, and an insertion
// goes on from whole rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/distance.h"
#include "index/graph/acorn_hop.h"
#include "index/graph/prune.h"
#include "index/hnsw/params.h"
#include "index/hnsw/row_choice.h"

namespace vdb {

class AcornEdges {
 public:
  explicit AcornEdges(const HnswParams& params) noexcept
      : M_(params.M),
        gamma_(params.gamma),
        m_beta_(params.m_beta),
        candidates_(std::max(params.ef_construction, params.gamma * params.M)) {}

  // Level 0 as wide as in the authors' code. In the paper an insertion goes on from the first M of a row only: where
  // rows lie in clusters, these stay within one, and neighbours in the others are never found. Of 4,000 rows in 20
  // clusters a walk found .63 of the nearest at M = 8 and .92 at M = 32; of a graph built over whole rows it finds all
  // but .01.
  EdgeWidths widths() const noexcept {
    const std::size_t base = m_beta_ + M_ + M_ / 2;
    return {base, gamma_ * M_, base};
  }
  // Nodes an insertion looks for, to choose among them.
  std::size_t candidates() const noexcept { return candidates_; }
  EdgeCounts counts(std::size_t level) const noexcept { return {level == 0 ? widths().base : widths().upper}; }
  EdgeCounts relinked(std::size_t level) const noexcept { return counts(level); }

  // Some of `candidates`, sorted by distance to the node, into `kept`, nearest first.
  template <class Distance>
  void choose(const RowChoice& row, std::span<const Neighbor> candidates, const EdgeCounts& counts,
              std::vector<Neighbor>& kept) const {
    candidates = candidates.first(std::min(candidates.size(), gamma_ * M_));
    const std::size_t direct = std::min({candidates.size(), counts.max, row.level == 0 ? m_beta_ : counts.max});
    kept.assign(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(direct));
    if (row.level == 0) compress(row, candidates.subspan(direct), counts.max, kept);
  }

  // Gives every row its new neighbours. A compression reads other rows: all of them see the graph as it was before any
  // row gained an edge, so nothing depends on which thread came first.
  template <class Distance>
  void join(const BatchJoin& batch) const {
    std::vector<std::pair<EdgeRow, std::vector<Slot>>> compressed;
    std::mutex compressed_mutex;
    for_each_row(batch, [&](const Adjacency& rows, std::span<const ReverseEdge> edges, Scratch& scratch) {
      if (has_room(rows, edges)) return;
      const std::size_t level = edges.front().table;
      list_candidates<Distance>(batch.view, rows, edges, scratch);
      choose<Distance>({batch.view, batch.layers, level, scratch}, scratch.neighbors, counts(level), scratch.selected);
      std::vector<Slot> row;
      for (const Neighbor& kept : scratch.selected) row.push_back(kept.slot);
      const std::lock_guard lock(compressed_mutex);
      compressed.emplace_back(EdgeRow{edges.front().target, level}, std::move(row));
    });
    for_each_row(batch, [&](const Adjacency& rows, std::span<const ReverseEdge> edges, Scratch& scratch) {
      if (has_room(rows, edges)) insert_sorted<Distance>(batch.view, rows, edges, scratch);
    });
    for (const auto& [at, row] : compressed) batch.layers.edges(at.level).store(at.slot, row);
  }

  // Chosen anew of the living and the others, and then what there is room for of the living: among the far ones are the
  // only edges out of a cluster.
  template <class Distance>
  void refill(const TornChoice& torn, std::vector<Neighbor>& links) const {
    std::vector<Neighbor> living;
    const Distance distance(torn.row.view, torn.slot);
    for_each_distance(distance, torn.living, [&](Slot slot, float d) { living.push_back({d, slot}); });
    std::sort(living.begin(), living.end());
    std::vector<Neighbor> candidates(living.size() + torn.others.size());
    std::merge(living.begin(), living.end(), torn.others.begin(), torn.others.end(), candidates.begin());
    const EdgeCounts room = counts(torn.row.level);
    choose<Distance>(torn.row, candidates, room, links);
    const std::size_t chosen = links.size();
    for (const Neighbor& neighbor : living) {
      if (links.size() == room.max) break;
      const auto end = links.begin() + static_cast<std::ptrdiff_t>(chosen);
      if (!std::binary_search(links.begin(), end, neighbor)) links.push_back(neighbor);
    }
    std::sort(links.begin(), links.end());
  }

  // Brings a row that was put together edge by edge into the order of this rule.
  template <class Distance>
  void arrange(const VectorView& view, Slot node, std::vector<Slot>& row) const {
    std::vector<Neighbor> sorted;
    for_each_distance(Distance(view, node), row, [&](Slot slot, float d) { sorted.push_back({d, slot}); });
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size(); ++i) row[i] = sorted[i].slot;
  }

  // The neighbourhood of the published search among the allowed `rows` below `limit`. Rows above level 0 are whole, so
  // only level 0 has anything behind them; with gamma = 1 (ACORN-1) that is true of no row.
  AcornHop hop(Layers& layers, std::size_t level, const RowSet& rows, std::size_t limit) const noexcept {
    const Adjacency edges = layers.edges(level);
    const std::size_t direct = gamma_ == 1 ? 0 : level == 0 ? m_beta_ : edges.width();
    return {edges, rows, limit, direct, level == 0 ? 2 * M_ : M_};
  }

 private:
  // The paper's compression: a candidate that a kept one leads to is left out, until kept edges and what those behind
  // the first M_beta lead to are as many as the candidates would have been.
  void compress(const RowChoice& row, std::span<const Neighbor> candidates, std::size_t most,
                std::vector<Neighbor>& kept) const {
    const Adjacency edges = row.layers.edges(0);
    Visited& behind = row.scratch.visited;
    behind.reset(row.view.n);
    std::size_t reached = 0;
    for (const Neighbor& candidate : candidates) {
      if (kept.size() == most || reached + kept.size() > gamma_ * M_) return;
      if (behind.contains(candidate.slot)) continue;
      kept.push_back(candidate);
      edges.for_each(candidate.slot, [&](Slot neighbor) { reached += behind.insert(neighbor) ? 1U : 0U; });
    }
  }

  template <class Visit>
  static void for_each_row(const BatchJoin& batch, Visit&& visit) {
    batch.reverse.for_each_row(batch.threads, batch.scratches,
                               [&](std::span<const ReverseEdge> edges, Scratch& scratch) {
                                 visit(batch.layers.edges(edges.front().table), edges, scratch);
                               });
  }

  // Each source in front of the first neighbour that is farther, found with a few distances.
  template <class Distance>
  static void insert_sorted(const VectorView& view, const Adjacency& rows, std::span<const ReverseEdge> edges,
                            Scratch& scratch) {
    const Slot target = edges.front().target;
    const Distance distance(view, target);
    auto& row = scratch.row;
    row.clear();
    rows.for_each(target, [&](Slot neighbor) { row.push_back(neighbor); });
    for (const ReverseEdge& edge : edges) {
      const auto at = std::partition_point(row.begin(), row.end(),
                                           [&](Slot slot) { return Neighbor{distance(slot), slot} < edge.source; });
      row.insert(at, edge.source.slot);
    }
    rows.store(target, row);
  }

  std::size_t M_;
  std::size_t gamma_;
  std::size_t m_beta_;
  std::size_t candidates_;
};

}  // namespace vdb
