// Insertion in batches. A batch searches the graph as it was, in parallel; its nodes are then stored, and their
// reverse edges merged target by target, again in parallel. Nothing depends on which thread did what.
#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/code_distance.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/link.h"
#include "index/graph/search.h"
#include "index/hnsw/descend.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

struct Node {
  Slot slot;
  std::size_t level;
  std::size_t first_row;  // of its rows in the batch's links, level 0 first
};

}  // namespace

class HnswBuilder {
 public:
  HnswBuilder(Hnsw& graph, const VectorView& view, const ExtendOptions& options)
      : graph_(graph), view_(view), options_(options) {}

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
      const std::size_t end = std::min(done + batch_size(graph_.nodes()), slots.size());
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
    const std::size_t ef = std::visit([](const auto& rule) { return rule.candidates(); }, graph_.rule_);
    const Beam beam{{ef, ef, view_.n, 0, options_.cancel}, scratch, stats};
    Slot start = descend(walk, *layers_, {entry.slot, entry.level, node.level, view_.n}, beam);
    for (std::size_t level = std::min(entry.level, node.level) + 1; level-- > 0;) {
      const OneHop expansion{layers_->walked(level), view_.n};
      beam_search(walk, AllowAll{}, expansion, {&start, 1}, beam);
      scratch.neighbors.clear();
      for (std::size_t i = 0; i < scratch.pool.size(); ++i) scratch.neighbors.push_back(scratch.pool[i]);
      start = scratch.neighbors.front().slot;
      if constexpr (!std::is_same_v<Walk, Distance>) measure_found(distance, scratch);
      choose_among<Distance>({view_, *layers_, level, scratch}, links_[node.first_row + level]);
    }
  }

  // Some of row.scratch.neighbors.
  template <class Distance>
  void choose_among(const RowChoice& row, std::vector<Neighbor>& kept) const {
    const auto by = [&](const auto& rule) {
      rule.template choose<Distance>(row, row.scratch.neighbors, rule.counts(row.level), kept);
    };
    std::visit(by, graph_.rule_);
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
        layers_->edges(level).store(node.slot, row);
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
          reverse_.add(level, neighbor.slot, {neighbor.distance, node.slot});
          if (level == 0) graph_.changed_[neighbor.slot] = 1;
        }
      }
    }
    const BatchJoin batch{view_, *layers_, reverse_, graph_.scratches_, options_.threads};
    std::visit([&](const auto& rule) { rule.template join<Distance>(batch); }, graph_.rule_);
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
  Layers* layers_ = nullptr;
  CodeStore::Snapshot codes_;
  std::vector<Node> nodes_;
  std::vector<std::vector<Neighbor>> links_;  // chosen edges, a row per node and level
  ReverseEdges reverse_;
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
