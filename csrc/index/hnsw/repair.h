// A repair in slices: first every living node's edges to dead ones are replaced (repair.cpp), then the dead leave the
// graph and what cannot be reached any more is linked again (reconnect.cpp).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/row_set.h"
#include "index/graph/scratch.h"
#include "index/hnsw/hnsw.h"

namespace vdb {

// Where a repair stands between two slices.
struct RepairState {
  explicit RepairState(const RowSet& rows) : alive(rows) {}

  RowSet alive;               // as of its first slice; slots beyond are alive
  std::size_t next = 0;       // rows of the slots below are mended; later, those below are known to be reached
  std::vector<EdgeRow> weak;  // lost most of their neighbours
  // Once the dead are gone:
  std::size_t nodes = 0;        // slots below are to be reached; 0 before
  std::size_t weak_linked = 0;  // of `weak`, from the first
  std::vector<bool> reached;
  std::vector<Slot> open;  // reached, neighbours not yet looked at

  bool is_dead(Slot slot) const noexcept { return slot < alive.size() && !alive.contains(slot); }
};

class HnswRepair {
 public:
  HnswRepair(Hnsw& graph, const VectorView& view, const RepairOptions& options)
      : graph_(graph), view_(view), options_(options), layers_(*graph.layers_), state_(*graph.repair_) {}

  // Whether the graph has nodes that are not among `alive`.
  static bool is_needed(const Hnsw& graph, const RowSet& alive);

  // True once nothing is left to do.
  bool run();

 private:
  // A row of edges with a dead node among them.
  struct TornRow {
    EdgeRow at;
    std::size_t degree;
    std::size_t living;  // of its neighbours
  };

  template <class Distance>
  void mend_batch(std::size_t begin, std::size_t end);
  void list_torn(std::size_t begin, std::size_t end);
  TornRow look_at(Slot slot, std::size_t level) const;
  template <class Distance>
  void mend(const TornRow& row, std::vector<Slot>& dead, std::vector<Neighbor>& links);
  // Nodes to look for when one chooses edges.
  std::size_t candidates() const;
  void gather(const TornRow& row, std::vector<Slot>& dead, Scratch& scratch) const;
  void bury();

  template <class Distance>
  bool reconnect(std::size_t expansions);
  template <class Distance>
  void link_weak_batch(Slot entry);
  template <class Distance>
  void link_lost(Slot slot, Slot entry);
  void reach(Slot slot);
  // The lowest node not reached; false where there is none.
  bool find_unreached(Slot& slot);
  // The nodes an insertion would choose from, by a walk of the level from the entry point itself: what is found from
  // there is reached.
  template <class Distance>
  std::vector<Neighbor> find_near(EdgeRow node, Slot entry) const;
  // The links first, and what there is room for of the edges before.
  template <class Distance>
  void put_in_front(EdgeRow node, std::span<const Neighbor> links) const;
  // False where there is no room.
  template <class Distance>
  bool append_edge(EdgeRow node, Slot to) const;
  // The best of the edges there are and one more.
  template <class Distance>
  void choose_anew(EdgeRow node, Neighbor also) const;
  template <class Distance>
  void replace_farthest(EdgeRow node, Slot by) const;
  // By the rule of the graph, of candidates sorted by distance to a node of `level`: as many as a row has places, or as
  // a node chooses that looks for its edges again.
  template <class Distance>
  void choose_all(std::size_t level, std::span<const Neighbor> candidates, std::vector<Neighbor>& kept) const;
  template <class Distance>
  void choose_relinked(std::size_t level, std::span<const Neighbor> candidates, std::vector<Neighbor>& kept) const;
  // Stores a row put together edge by edge.
  template <class Distance>
  void store(EdgeRow node, std::vector<Slot>& row) const;
  std::vector<Slot> neighbors_of(EdgeRow node) const;
  // Its neighbours, nearest first.
  template <class Distance>
  std::vector<Neighbor> nearest_of(EdgeRow node) const;

  Hnsw& graph_;
  const VectorView& view_;
  const RepairOptions& options_;
  Layers& layers_;
  RepairState& state_;
  std::vector<TornRow> torn_;
  std::vector<std::vector<Neighbor>> links_;  // the new edges of each torn row
};

}  // namespace vdb
