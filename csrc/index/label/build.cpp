// Overlays grow in rounds: each takes, of every overlay, as many of the rows it lacks as fit its size, searches for
// their neighbours in what there was, in parallel, and links them (index/graph/link.h). So small overlays grow beside
// large ones on all threads, and nothing depends on which thread did what.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/code_distance.h"
#include "index/graph/filter.h"
#include "index/graph/finish.h"
#include "index/graph/link.h"
#include "index/graph/prune.h"
#include "index/graph/search.h"
#include "index/label/hop.h"
#include "index/label/label_graph.h"
#include "index/label/plan.h"

namespace vdb {

class LabelBuilder {
 public:
  LabelBuilder(LabelGraph& graph, const VectorView& view, const LabelExtend& options)
      : graph_(graph), view_(view), options_(options), counts_{2 * graph.params_.M, 3 * graph.params_.M / 2} {
    if (options.codes != nullptr) codes_ = options.codes->snapshot();
    if (codes_.covered < view.n) codes_ = {};
  }

  void run() {
    take_members();
    const std::size_t total = rows_to_come(LabelPlan(graph_.params_, graph_.members_, *graph_.published().rows));
    graph_.reserve(view_.n, graph_.used_rows_ + total);
    rows_ = graph_.published().rows;
    left_ = options_.most == 0 ? std::numeric_limits<std::size_t>::max() : options_.most;
    for (std::size_t done = 0; list_nodes(); done += nodes_.size()) {
      insert();
      if (options_.progress) options_.progress(std::min(done + nodes_.size(), total), total);
    }
    complete_overlays();
    graph_.publish({rows_, graph_.complete()});
    graph_.drop_unused();
    graph_.members_bytes_.store(graph_.members_.memory_bytes(), std::memory_order_relaxed);
    graph_.covered_.store(view_.n, std::memory_order_release);
  }

 private:
  struct Node {
    Slot slot;
    std::size_t overlay;  // its position
  };

  // What the rows that are given gained and lost, and what that makes of the overlays.
  void take_members() {
    LabelMembers& members = graph_.members_;
    HeldOverlays& held = graph_.held_;
    const LabelPlan plan(graph_.params_, members, *graph_.published().rows);
    if (options_.whole) members = {};
    const RowSet all = options_.rows == nullptr ? RowSet::all(view_.n) : RowSet();
    const RowSet& alive = options_.rows == nullptr ? all : *options_.rows;
    const std::vector<MemberChange> changes = members.update(options_.slots, options_.memberships, alive);
    if (options_.whole) held = plan.relabelled(held);
    graph_.loaded_ = false;
    plan.follow(changes, held, graph_.frequent_, graph_.next_number_);
  }

  // How many rows overlays will get, at most. Those of complete ones are the rows of this call.
  std::size_t rows_to_come(const LabelPlan& plan) {
    std::size_t complete = 0;
    std::size_t making = 0;
    for (HeldOverlay& held : graph_.held_) {
      if (held.complete) {
        std::erase_if(held.lacks, [&](Slot slot) { return !plan.is_lacking(held, slot); });
        plan.sort_lacks(held);
      }
      (held.complete ? complete : making) += held.lacks.size();
    }
    graph_.lacking_.store(complete + making, std::memory_order_relaxed);
    return complete + (options_.most == 0 ? making : std::min(making, options_.most));
  }

  // The nodes of the next round; false where there are none. They are taken from what their overlays lack once they
  // are in.
  bool list_nodes() {
    const LabelPlan plan(graph_.params_, graph_.members_, *rows_);
    nodes_.clear();
    taken_.assign(graph_.held_.size(), 0);
    for (std::size_t at = 0; at < graph_.held_.size(); ++at) {
      HeldOverlay& held = graph_.held_[at];
      std::size_t wanted = batch_size(held.overlay.nodes);
      if (!held.complete) wanted = std::min(wanted, left_);
      const std::size_t begin = nodes_.size();
      std::vector<Slot>& lacks = held.lacks;
      for (std::size_t& taken = taken_[at]; taken < lacks.size() && nodes_.size() - begin < wanted; ++taken) {
        const Slot slot = lacks[lacks.size() - 1 - taken];
        if (plan.is_lacking(held, slot)) nodes_.push_back({slot, at});
      }
      drop_repeated(begin);
      if (!held.complete) left_ -= nodes_.size() - begin;
      if (nodes_.size() == begin) take_lacks(at);
    }
    if (links_.size() < nodes_.size()) links_.resize(nodes_.size());
    return !nodes_.empty();
  }

  // A row that lost its label and got it again is lacked twice.
  void drop_repeated(std::size_t begin) {
    const auto first = nodes_.begin() + static_cast<std::ptrdiff_t>(begin);
    std::sort(first, nodes_.end(), [](const Node& a, const Node& b) { return a.slot < b.slot; });
    const auto same = [](const Node& a, const Node& b) { return a.slot == b.slot; };
    nodes_.erase(std::unique(first, nodes_.end(), same), nodes_.end());
  }

  void take_lacks(std::size_t at) {
    std::vector<Slot>& lacks = graph_.held_[at].lacks;
    lacks.resize(lacks.size() - taken_[at]);
    taken_[at] = 0;
  }

  // Those in the making that lack nothing are walked from now on, in place of those that they replace.
  void complete_overlays() {
    HeldOverlays& held = graph_.held_;
    HeldOverlays kept;
    std::size_t lacking = 0;
    for (HeldOverlay& each : held) {
      if (each.lacks.empty()) each.complete = true;
      const bool replaces = !kept.empty() && kept.back().overlay.label == each.overlay.label;
      if (replaces && each.complete) kept.pop_back();
      lacking += each.lacks.size();
      kept.push_back(std::move(each));
    }
    held = std::move(kept);
    graph_.lacking_.store(lacking, std::memory_order_relaxed);
  }

  void insert() {
    if (options_.cancel->poll()) throw Cancelled();
    with_distance(view_, view_.data, [&]<class Distance>(const Distance&) {
      parallel_for({nodes_.size(), kNodesPerChunk, options_.threads}, [&](const Chunk& chunk) {
        const ScratchPool::Handle scratch = graph_.scratches_.take();
        for (std::size_t i = chunk.begin; i < chunk.end; ++i) choose_links<Distance>(nodes_[i], *scratch, links_[i]);
      });
      store_nodes();
      merge_reverse_edges<Distance>();
    });
    for (std::size_t at = 0; at < taken_.size(); ++at) take_lacks(at);
  }

  // The edges `node` will have in its overlay.
  template <class Distance>
  void choose_links(const Node& node, Scratch& scratch, std::vector<Neighbor>& links) {
    links.clear();
    if (graph_.held_[node.overlay].overlay.entries.empty()) return;  // the first node has nobody to link to
    const Distance distance(view_, node.slot);
    if (!codes_.codec) return choose_links(node, distance, distance, scratch, links);
    scratch.code_query.with_distance(codes_, in_code_space(view_, node.slot, scratch), [&](const auto& by_code) {
      choose_links(node, by_code, distance, scratch, links);
    });
  }

  // Finds candidates by one distance and chooses among them by another.
  template <class Walk, class Distance>
  void choose_links(const Node& node, const Walk& walk, const Distance& distance, Scratch& scratch,
                    std::vector<Neighbor>& links) {
    SearchStats stats;
    const std::size_t ef = graph_.params_.ef_construction;
    const Overlay& overlay = graph_.held_[node.overlay].overlay;
    const Beam beam{{ef, ef, view_.n, 0, options_.cancel}, scratch, stats};
    beam_search(walk, AllowAll{}, LabelHop(*rows_, overlay.number, view_.n), overlay.entries, beam);
    scratch.neighbors.clear();
    for (std::size_t i = 0; i < scratch.pool.size(); ++i) scratch.neighbors.push_back(scratch.pool[i]);
    if constexpr (!std::is_same_v<Walk, Distance>) measure_found(distance, scratch);
    select_neighbors<Distance>(view_, scratch.neighbors, counts_, links);
  }

  void store_nodes() {
    std::vector<Slot> row;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      row.clear();
      for (const Neighbor& neighbor : links_[i]) row.push_back(neighbor.slot);
      HeldOverlay& held = graph_.held_[nodes_[i].overlay];
      rows_->add(nodes_[i].slot, held.overlay.number, static_cast<std::uint32_t>(graph_.used_rows_++), row);
      held.overlay.add(nodes_[i].slot);
      ++held.present;
    }
  }

  template <class Distance>
  void merge_reverse_edges() {
    reverse_.clear();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (const Neighbor& neighbor : links_[i]) {
        reverse_.add(nodes_[i].overlay, neighbor.slot, {neighbor.distance, nodes_[i].slot});
      }
    }
    reverse_.for_each_row(options_.threads, graph_.scratches_,
                          [&](std::span<const ReverseEdge> edges, Scratch& scratch) {
                            const OverlayEdges table(*rows_, graph_.held_[edges.front().table].overlay.number);
                            merge_row<Distance>(view_, table, edges, scratch,
                                                [&](std::span<const Neighbor> candidates, std::vector<Neighbor>& kept) {
                                                  select_neighbors<Distance>(view_, candidates, counts_, kept);
                                                });
                          });
  }

  LabelGraph& graph_;
  const VectorView& view_;
  const LabelExtend& options_;
  const EdgeCounts counts_;  // those of level 0 of a graph
  CodeStore::Snapshot codes_;
  std::shared_ptr<OverlayRows> rows_;
  std::size_t left_ = 0;            // rows that overlays in the making may still get
  std::vector<std::size_t> taken_;  // of what each overlay lacks, by the round
  std::vector<Node> nodes_;
  std::vector<std::vector<Neighbor>> links_;  // chosen edges, by node
  ReverseEdges reverse_;
};

void LabelGraph::extend(const VectorView& view, const LabelExtend& options) {
  check_view(view);
  check_codes(options.codes);
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(view.n <= kMaxSlots, "a graph holds at most 2147483647 slots, got " + std::to_string(view.n));
  check_memberships(options.memberships, options.slots, view.n);
  const std::lock_guard lock(writer_);
  VDB_CHECK(options.whole || !loaded_, "labels may be numbered anew since these overlays were saved: give all of them");
  if (view.n >= std::max(covered(), members_.slots())) LabelBuilder(*this, view, options).run();
}

}  // namespace vdb
