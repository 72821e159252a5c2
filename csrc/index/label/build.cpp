// Overlays grow in rounds: each takes, of every overlay, as many of the rows it lacks as fit its size, searches for
// their neighbours in what there was, in parallel, and links them (index/graph/link.h). So small overlays grow beside
// large ones on all threads, and nothing depends on which thread did what.
#include <algorithm>
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
    const LabelPlanInput input{graph_.params_, options_.memberships, options_.rows};
    const std::shared_ptr<OverlayRows> before = graph_.published().rows;
    if (graph_.loaded_) graph_.overlays_ = relabelled(input, graph_.overlays_, *before);
    graph_.loaded_ = false;
    plan_ = plan_overlays(input, graph_.overlays_, *before, graph_.next_number_);
    graph_.overlays_ = plan_.overlays;
    graph_.reserve(view_.n, graph_.used_rows_ + plan_.total);
    rows_ = graph_.published().rows;
    begun_.assign(plan_.pending.size(), 0);
    for (std::size_t done = 0; done < plan_.total; done += nodes_.size()) {
      list_nodes();
      insert();
      if (options_.progress) options_.progress(done + nodes_.size(), plan_.total);
    }
    graph_.publish({rows_, std::make_shared<const Overlays>(graph_.overlays_)});
    graph_.drop_unused();
    graph_.covered_.store(view_.n, std::memory_order_release);
  }

 private:
  struct Node {
    Slot slot;
    std::size_t overlay;  // its position
  };

  void list_nodes() {
    nodes_.clear();
    for (std::size_t at = 0; at < plan_.pending.size(); ++at) {
      const std::vector<Slot>& pending = plan_.pending[at];
      const std::size_t end = std::min(begun_[at] + batch_size(graph_.overlays_[at].nodes), pending.size());
      for (; begun_[at] < end; ++begun_[at]) nodes_.push_back({pending[begun_[at]], at});
    }
    if (links_.size() < nodes_.size()) links_.resize(nodes_.size());
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
  }

  // The edges `node` will have in its overlay.
  template <class Distance>
  void choose_links(const Node& node, Scratch& scratch, std::vector<Neighbor>& links) {
    links.clear();
    if (graph_.overlays_[node.overlay].entries.empty()) return;  // the first node has nobody to link to
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
    const Overlay& overlay = graph_.overlays_[node.overlay];
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
      Overlay& overlay = graph_.overlays_[nodes_[i].overlay];
      rows_->add(nodes_[i].slot, overlay.number, static_cast<std::uint32_t>(graph_.used_rows_++), row);
      overlay.add(nodes_[i].slot);
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
                            const OverlayEdges table(*rows_, graph_.overlays_[edges.front().table].number);
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
  LabelPlan plan_;
  std::vector<std::size_t> begun_;  // of each overlay's pending rows
  std::vector<Node> nodes_;
  std::vector<std::vector<Neighbor>> links_;  // chosen edges, by node
  ReverseEdges reverse_;
};

void LabelGraph::extend(const VectorView& view, const LabelExtend& options) {
  check_view(view);
  check_codes(options.codes);
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(view.n <= kMaxSlots, "a graph holds at most 2147483647 slots, got " + std::to_string(view.n));
  check_memberships(options.memberships, view.n);
  const std::lock_guard lock(writer_);
  if (view.n >= covered()) LabelBuilder(*this, view, options).run();
}

}  // namespace vdb
