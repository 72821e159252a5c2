// Insertion in batches. A batch searches the graph as it was, in parallel; its nodes are then stored, and their
// reverse edges merged target by target, again in parallel. Nothing depends on which thread did what.
#include <algorithm>
#include <string>
#include <tuple>
#include <type_traits>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/code_distance.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/prune.h"
#include "index/graph/search.h"
#include "index/hnsw/descend.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Nodes of one batch do not see each other, so a batch is a small part of the graph it joins.
constexpr std::size_t kBatchDivisor = 64;
constexpr std::size_t kMaxBatch = 4096;
// Nodes and targets per turn of a thread.
constexpr std::size_t kNodesPerChunk = 4;
constexpr std::size_t kTargetsPerChunk = 16;

// Level 0 is denser than the heuristic alone would have it: up to 2M edges from the start, and at least 3M/2. A hop
// costs as much as the estimates of several neighbours, so a walk by codes finds more in the same time.
EdgeCounts edge_counts(std::size_t level, std::size_t M) {
  return level == 0 ? EdgeCounts{2 * M, 3 * M / 2} : EdgeCounts{M};
}

struct Node {
  Slot slot;
  std::size_t level;
  std::size_t first_row;  // of its rows in the batch's links, level 0 first
};

struct ReverseEdge {
  std::size_t level;
  Slot target;
  Neighbor source;

  friend bool operator<(const ReverseEdge& a, const ReverseEdge& b) noexcept {
    return std::tie(a.level, a.target, a.source) < std::tie(b.level, b.target, b.source);
  }
  bool same_row(const ReverseEdge& other) const noexcept { return level == other.level && target == other.target; }
};

}  // namespace

class HnswBuilder {
 public:
  HnswBuilder(Hnsw& graph, const VectorView& view, const ExtendOptions& options)
      : graph_(graph), view_(view), options_(options), M_(graph.params_.M) {}

  void run() {
    if (graph_.codes_) {
      graph_.codes_->extend(view_, {options_.rows, options_.threads, options_.cancel, {}});
      codes_ = graph_.codes_->snapshot();
    }
    const std::vector<Slot> slots = pending_slots();
    std::size_t upper_rows = graph_.used_upper_rows_;
    for (const Slot slot : slots) upper_rows += graph_.level_of(slot);
    graph_.reserve(view_.n, upper_rows);
    layers_ = graph_.layers_.get();
    for (std::size_t done = 0; done < slots.size();) {
      const std::size_t size = std::clamp<std::size_t>(graph_.nodes() / kBatchDivisor, 1, kMaxBatch);
      const std::size_t end = std::min(done + size, slots.size());
      insert_batch({slots.data() + done, end - done});
      done = end;
      graph_.covered_.store(std::size_t{slots[done - 1]} + 1, std::memory_order_release);
      if (options_.progress) options_.progress(done, slots.size());
    }
    graph_.covered_.store(view_.n, std::memory_order_release);
  }

 private:
  std::vector<Slot> pending_slots() const {
    std::vector<Slot> slots;
    const std::size_t begin = graph_.covered();
    const auto add = [&](Slot slot) { slots.push_back(slot); };
    if (options_.rows != nullptr) {
      options_.rows->for_each(begin, view_.n, add);
    } else {
      for (std::size_t i = begin; i < view_.n; ++i) add(static_cast<Slot>(i));
    }
    return slots;
  }

  void insert_batch(std::span<const Slot> slots) {
    list_nodes(slots);
    if (options_.cancel->poll()) throw Cancelled();
    with_distance(view_, view_.data, [&]<class Distance>(const Distance&) {
      parallel_for({nodes_.size(), kNodesPerChunk, options_.threads}, [&](const Chunk& chunk) {
        const ScratchPool::Handle scratch = graph_.scratches_.take();
        for (std::size_t i = chunk.begin; i < chunk.end; ++i) choose_links<Distance>(nodes_[i], *scratch);
      });
      store_nodes();
      merge_reverse_edges<Distance>();
    });
    publish();
  }

  void list_nodes(std::span<const Slot> slots) {
    nodes_.clear();
    std::size_t rows = 0;
    for (const Slot slot : slots) {
      const std::size_t level = graph_.level_of(slot);
      nodes_.push_back({slot, level, rows});
      rows += level + 1;
    }
    if (links_.size() < rows) links_.resize(rows);
    for (auto& row : links_) row.clear();
  }

  // Algorithm 1 of the paper up to linking: the edges `node` will have on each of its levels.
  template <class Distance>
  void choose_links(const Node& node, Scratch& scratch) {
    Hnsw::Entry entry{};
    if (!graph_.find_entry(view_.n, entry)) return;  // the first node has nobody to link to
    const Distance distance(view_, node.slot);
    if (!codes_.codec) return choose_links(node, entry, distance, distance, scratch);
    scratch.prepared.resize(view_.dim);
    to_code_space(view_, node.slot, code_scale(view_, node.slot), scratch.prepared.data());
    scratch.code_query.with_distance(codes_, scratch.prepared.data(), [&](const auto& by_code) {
      choose_links(node, entry, by_code, distance, scratch);
    });
  }

  // Finds candidates by one distance and chooses among them by another.
  template <class Walk, class Distance>
  void choose_links(const Node& node, const Hnsw::Entry& entry, const Walk& walk, const Distance& distance,
                    Scratch& scratch) {
    SearchStats stats;
    const std::size_t ef = graph_.params_.ef_construction;
    const Beam beam{{ef, ef, view_.n, 0, options_.cancel}, scratch, stats};
    Slot start = descend(walk, *layers_, M_, {entry.slot, entry.level, node.level, view_.n}, beam);
    for (std::size_t level = std::min(entry.level, node.level) + 1; level-- > 0;) {
      const OneHop expansion{layers_->edges(level, M_), view_.n};
      beam_search(walk, AllowAll{}, expansion, {&start, 1}, beam);
      scratch.neighbors.clear();
      for (std::size_t i = 0; i < scratch.pool.size(); ++i) scratch.neighbors.push_back(scratch.pool[i]);
      start = scratch.neighbors.front().slot;
      if constexpr (!std::is_same_v<Walk, Distance>) measure(distance, scratch);
      select_neighbors<Distance>(view_, scratch.neighbors, edge_counts(level, M_), links_[node.first_row + level]);
    }
  }

  // Replaces the estimates of scratch.neighbors by distances.
  template <class Distance>
  static void measure(const Distance& distance, Scratch& scratch) {
    scratch.row.clear();
    for (const Neighbor& neighbor : scratch.neighbors) scratch.row.push_back(neighbor.slot);
    scratch.neighbors.clear();
    for_each_distance(distance, scratch.row, [&](Slot slot, float d) { scratch.neighbors.push_back({d, slot}); });
    std::sort(scratch.neighbors.begin(), scratch.neighbors.end());
  }

  void store_nodes() {
    std::vector<Slot> row;
    for (const Node& node : nodes_) {
      layers_->levels[node.slot] = static_cast<std::uint8_t>(node.level);
      layers_->upper_begin[node.slot] = static_cast<std::uint32_t>(graph_.used_upper_rows_);
      graph_.used_upper_rows_ += node.level;
      for (std::size_t level = 0; level <= node.level; ++level) {
        row.clear();
        for (const Neighbor& neighbor : links_[node.first_row + level]) row.push_back(neighbor.slot);
        layers_->edges(level, M_).store(node.slot, row);
        if (level == 0) graph_.changed_[node.slot] = 1;
      }
    }
  }

  template <class Distance>
  void merge_reverse_edges() {
    reverse_.clear();
    for (const Node& node : nodes_) {
      for (std::size_t level = 0; level <= node.level; ++level) {
        for (const Neighbor& neighbor : links_[node.first_row + level]) {
          reverse_.push_back({level, neighbor.slot, {neighbor.distance, node.slot}});
        }
      }
    }
    std::sort(reverse_.begin(), reverse_.end());
    groups_.clear();
    for (std::size_t i = 0; i < reverse_.size(); ++i) {
      if (i == 0 || !reverse_[i].same_row(reverse_[i - 1])) groups_.push_back(i);
    }
    groups_.push_back(reverse_.size());
    parallel_for({groups_.size() - 1, kTargetsPerChunk, options_.threads}, [&](const Chunk& chunk) {
      const ScratchPool::Handle scratch = graph_.scratches_.take();
      for (std::size_t g = chunk.begin; g < chunk.end; ++g) {
        merge_row<Distance>({reverse_.data() + groups_[g], groups_[g + 1] - groups_[g]}, *scratch);
      }
    });
  }

  // Adds the sources of `edges`, which share one target and level, to the target's row; an overfull row is chosen anew.
  template <class Distance>
  void merge_row(std::span<const ReverseEdge> edges, Scratch& scratch) {
    const Slot target = edges.front().target;
    const Adjacency adjacency = layers_->edges(edges.front().level, M_);
    auto& row = scratch.row;
    row.clear();
    adjacency.for_each(target, [&](Slot neighbor) { row.push_back(neighbor); });
    if (row.size() + edges.size() > adjacency.width()) {
      auto& candidates = scratch.neighbors;
      candidates.clear();
      for_each_distance(Distance(view_, target), row, [&](Slot slot, float d) { candidates.push_back({d, slot}); });
      for (const ReverseEdge& edge : edges) candidates.push_back(edge.source);
      std::sort(candidates.begin(), candidates.end());
      select_neighbors<Distance>(view_, candidates, edge_counts(edges.front().level, M_), scratch.selected);
      row.clear();
      for (const Neighbor& kept : scratch.selected) row.push_back(kept.slot);
    } else {
      for (const ReverseEdge& edge : edges) row.push_back(edge.source.slot);
    }
    adjacency.store(target, row);
    if (edges.front().level == 0) graph_.changed_[target] = 1;
  }

  void publish() {
    Hnsw::Entry entry{};
    bool have_entry = graph_.find_entry(view_.n, entry);
    for (const Node& node : nodes_) {
      if (have_entry && node.level <= entry.level) continue;
      entry = {node.slot, node.level};
      have_entry = true;
      graph_.add_entry(entry);
    }
    graph_.nodes_.fetch_add(nodes_.size(), std::memory_order_relaxed);
  }

  Hnsw& graph_;
  const VectorView& view_;
  const ExtendOptions& options_;
  const std::size_t M_;
  Layers* layers_ = nullptr;
  CodeStore::Snapshot codes_;
  std::vector<Node> nodes_;
  std::vector<std::vector<Neighbor>> links_;  // chosen edges, a row per node and level
  std::vector<ReverseEdge> reverse_;
  std::vector<std::size_t> groups_;  // where each target's run begins in reverse_
};

void Hnsw::extend(const VectorView& view, const ExtendOptions& options) {
  check_view(view);
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(view.n <= kMaxSlots, "a graph holds at most 2147483647 slots, got " + std::to_string(view.n));
  const std::lock_guard lock(writer_);
  if (view.n > covered()) HnswBuilder(*this, view, options).run();
  // Also after a load, and after a call that was cancelled.
  if (view.n == covered() && packed(covered()) == nullptr) pack(view, options.threads, options.cancel);
}

}  // namespace vdb
