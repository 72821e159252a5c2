// Insertion in batches that search a frozen graph, as in index/hnsw. All rows of a call are ranked before the first is
// linked, so a window never moves on while they come; a row looks for its edges from the widest layer down, and what it
// found in one serves the next as far as it lies in the narrower window.
#include <algorithm>
#include <iterator>
#include <string>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/code_distance.h"
#include "index/graph/filter.h"
#include "index/graph/link.h"
#include "index/graph/prune.h"
#include "index/graph/search.h"
#include "index/range/hop.h"
#include "index/range/range.h"
#include "index/range/seeds.h"

namespace vdb {
namespace {

// Entry points of a walk from anywhere in its window, and as many of what the layer above found.
constexpr std::size_t kSeeds = 8;
// Nodes that a graph of few is entered by, where the seeds of a window are not linked yet.
constexpr std::size_t kStarts = 64;

// Half of the edges of a row are its own choice, the others come from the rows that choose it. Rows are filled up
// beyond what the heuristic keeps, as on level 0 of index/hnsw.
EdgeCounts own_edges(std::size_t M) { return {M / 2, M / 2}; }
EdgeCounts kept_edges(std::size_t M) { return {M, 3 * M / 4}; }
// Candidates that need no search: with fewer the heuristic has no choice.
std::size_t enough_candidates(std::size_t M) { return M; }

}  // namespace

class RangeBuilder {
 public:
  RangeBuilder(RangeGraph& graph, const VectorView& view, const RangeExtend& options)
      : graph_(graph), view_(view), options_(options), M_(graph.params_.M) {
    if (options.codes == nullptr) return;
    codes_ = options.codes->snapshot();
    if (codes_.covered < view.n) codes_ = {};
  }

  std::size_t run() {
    if (options_.whole) graph_.rekey(options_.slots, options_.keys);
    std::vector<Ranked> rows = pending_rows();
    graph_.reserve(view_.n, graph_.nodes() + rows.size());
    layers_ = graph_.layers_.get();
    choose_starts();
    take_keys(rows);
    std::vector<Slot> slots;
    slots.reserve(rows.size());
    for (const Ranked& row : rows) slots.push_back(row.slot);
    const std::uint64_t seed = graph_.params_.seed;
    const auto shuffled = [&](Slot slot) { return std::pair(splitmix64(seed ^ splitmix64(slot)), slot); };
    std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return shuffled(a) < shuffled(b); });
    for (std::size_t done = 0; done < slots.size();) {
      const std::size_t end = std::min(done + batch_size(graph_.nodes()), slots.size());
      insert_batch({slots.data() + done, end - done});
      done = end;
      if (options_.progress) options_.progress(done, slots.size());
    }
    graph_.covered_.store(view_.n, std::memory_order_release);
    return slots.size();
  }

 private:
  // The rows that are not linked under the key they have now, in order.
  std::vector<Ranked> pending_rows() {
    const std::size_t known = std::min(graph_.linked_.size(), graph_.layers_->slots());
    std::vector<Ranked> rows;
    for (std::size_t i = 0; i < options_.slots.size(); ++i) {
      const Ranked row{options_.keys[i], options_.slots[i]};
      if (options_.rows != nullptr && !options_.rows->contains(row.slot)) continue;
      const bool stays = row.slot < known && graph_.linked_[row.slot] != 0 && graph_.layers_->key(row.slot) == row.key;
      if (!stays) rows.push_back(row);
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

  // Nodes to enter the graph by.
  void choose_starts() {
    const Order& order = *graph_.order_;
    const auto linked = [&](Slot slot) { return graph_.linked_[slot] != 0; };
    if (order.size() > 0) spread_seeds(order, {0, order.size()}, kStarts, linked, starts_);
  }

  // Takes the keys of `rows` over and ranks them. A row that moves is out of the graph until it is linked again, but
  // for the edges that led to it and from it.
  void take_keys(std::span<const Ranked> rows) {
    std::size_t moved = 0;
    for (const Ranked& row : rows) {
      moved += graph_.linked_[row.slot];
      graph_.linked_[row.slot] = 0;
      layers_->set_key(row.slot, row.key);
    }
    graph_.nodes_.fetch_sub(moved, std::memory_order_relaxed);
    if (!rows.empty()) graph_.set_order(graph_.order_->with(rows, layers_->keys.data()));
    order_ = graph_.order_.get();
  }

  void insert_batch(std::span<const Slot> slots) {
    slots_ = slots;
    const std::size_t layers = layers_->count();
    if (links_.size() < slots.size() * layers) links_.resize(slots.size() * layers);
    for (auto& row : links_) row.clear();
    if (options_.cancel->poll()) throw Cancelled();
    with_distance(view_, view_.data, [&]<class Distance>(const Distance&) {
      parallel_for({slots.size(), kNodesPerChunk, options_.threads}, [&](const Chunk& chunk) {
        const ScratchPool::Handle scratch = graph_.scratches_.take();
        for (std::size_t i = chunk.begin; i < chunk.end; ++i) choose_links<Distance>(i, *scratch);
      });
      store_nodes();
      merge_reverse_edges<Distance>();
    });
    for (const Slot slot : slots) {
      graph_.linked_[slot] = 1;
      if (starts_.size() < kStarts) starts_.push_back(slot);
    }
    graph_.nodes_.fetch_add(slots.size(), std::memory_order_relaxed);
  }

  // The edges that the node will have in each layer.
  template <class Distance>
  void choose_links(std::size_t node, Scratch& scratch) {
    const Distance distance(view_, slots_[node]);
    if (!codes_.codec) return choose_links(node, distance, distance, scratch);
    scratch.prepared.resize(view_.dim);
    to_code_space(view_, slots_[node], code_scale(view_, slots_[node]), scratch.prepared.data());
    scratch.code_query.with_distance(codes_, scratch.prepared.data(),
                                     [&](const auto& by_code) { choose_links(node, by_code, distance, scratch); });
  }

  // Finds candidates by one distance and chooses among them by another.
  template <class Walk, class Distance>
  void choose_links(std::size_t node, const Walk& walk, const Distance& distance, Scratch& scratch) {
    const Slot slot = slots_[node];
    const std::size_t rank = order_->rank_of({layers_->key(slot), slot});
    std::vector<Neighbor>& found = scratch.neighbors;
    found.clear();
    for (std::size_t layer = layers_->count(); layer-- > 0;) {
      const Ranks window = window_of(rank, layer);
      const InKeys inside = keys_of(window);
      std::erase_if(found, [&](const Neighbor& candidate) { return !inside(candidate.slot); });
      if (found.size() < enough_candidates(M_)) {
        if (window.size() <= graph_.params_.ef_construction) {
          list_window(window, slot, scratch);
          measure_found(distance, scratch);
        } else if (search_window(walk, {window, inside, layer}, scratch)) {
          std::erase_if(found, [&](const Neighbor& candidate) { return candidate.slot == slot; });
          if constexpr (!std::is_same_v<Walk, Distance>) measure_found(distance, scratch);
        }
      }
      select_neighbors<Distance>(view_, found, own_edges(M_), links_[node * layers_->count() + layer]);
    }
  }

  // The ranks that the row at `rank` may link to in a layer, its own among them.
  Ranks window_of(std::size_t rank, std::size_t layer) const noexcept {
    const std::size_t half = half_width(layer);
    return {rank - std::min(rank, half), std::min(order_->size(), rank + half + 1)};
  }

  // A range of keys never parts equal ones, so neither does a window.
  InKeys keys_of(const Ranks& window) const noexcept {
    return {*layers_, order_->at(window.begin).key, order_->at(window.end - 1).key};
  }

  bool can_be_linked(Slot slot) const noexcept { return graph_.linked_[slot] != 0; }

  // All of a window but `self` into scratch.neighbors, not measured yet.
  void list_window(const Ranks& window, Slot self, Scratch& scratch) const {
    scratch.neighbors.clear();
    order_->for_each(window, [&](const Ranked& row) {
      if (can_be_linked(row.slot) && row.slot != self) scratch.neighbors.push_back({0, row.slot});
      return true;
    });
  }

  struct Window {
    const Ranks& ranks;
    const InKeys& inside;
    std::size_t layer;
  };

  // The nearest of a window into scratch.neighbors, from those of them that are there. False where no way leads in.
  template <class Walk>
  bool search_window(const Walk& walk, const Window& window, Scratch& scratch) const {
    std::vector<Neighbor>& found = scratch.neighbors;
    std::vector<Slot>& entries = scratch.row;
    entries.clear();
    for (std::size_t i = 0; i < std::min(found.size(), kSeeds); ++i) entries.push_back(found[i].slot);
    spread_seeds(*order_, window.ranks, kSeeds, [&](Slot slot) { return can_be_linked(slot); }, entries);
    if (entries.empty()) std::copy_if(starts_.begin(), starts_.end(), std::back_inserter(entries), window.inside);
    if (entries.empty()) return false;
    SearchStats stats;
    const std::size_t ef = graph_.params_.ef_construction;
    const Beam beam{{ef, ef, view_.n, 0, options_.cancel}, scratch, stats};
    beam_search(walk, AllowAll{}, RangeHop<InKeys>{*layers_, window.inside, window.layer, view_.n}, entries, beam);
    found.clear();
    for (std::size_t i = 0; i < scratch.pool.size(); ++i) found.push_back(scratch.pool[i]);
    return true;
  }

  void store_nodes() {
    std::vector<Slot> row;
    for (std::size_t node = 0; node < slots_.size(); ++node) {
      for (std::size_t layer = 0; layer < layers_->count(); ++layer) {
        row.clear();
        for (const Neighbor& neighbor : links_[node * layers_->count() + layer]) row.push_back(neighbor.slot);
        layers_->edges(layer).store(slots_[node], row);
      }
    }
  }

  template <class Distance>
  void merge_reverse_edges() {
    reverse_.clear();
    for (std::size_t node = 0; node < slots_.size(); ++node) {
      for (std::size_t layer = 0; layer < layers_->count(); ++layer) {
        for (const Neighbor& neighbor : links_[node * layers_->count() + layer]) {
          reverse_.add(layer, neighbor.slot, {neighbor.distance, slots_[node]});
        }
      }
    }
    reverse_.for_each_row(options_.threads, graph_.scratches_,
                          [&](std::span<const ReverseEdge> edges, Scratch& scratch) {
                            const std::vector<ReverseEdge> fresh = without_known(edges);
                            if (!fresh.empty()) merge_edges<Distance>(fresh, scratch);
                          });
  }

  // Of edges that share their target, those that its row lacks: a row that moved may be in it from before.
  std::vector<ReverseEdge> without_known(std::span<const ReverseEdge> edges) const {
    std::vector<ReverseEdge> fresh(edges.begin(), edges.end());
    layers_->edges(edges.front().table).for_each(edges.front().target, [&](Slot neighbor) {
      std::erase_if(fresh, [&](const ReverseEdge& edge) { return edge.source.slot == neighbor; });
    });
    return fresh;
  }

  // A full row first drops what has drifted out of its window as others came between, then goes by the heuristic.
  template <class Distance>
  void merge_edges(std::span<const ReverseEdge> edges, Scratch& scratch) {
    const std::size_t layer = edges.front().table;
    const Slot target = edges.front().target;
    merge_row<Distance>(view_, layers_->edges(layer), edges, scratch,
                        [&](std::span<const Neighbor> candidates, std::vector<Neighbor>& kept) {
                          const std::size_t rank = order_->rank_of({layers_->key(target), target});
                          const InKeys inside = keys_of(window_of(rank, layer));
                          std::vector<Neighbor> near;
                          for (const Neighbor& candidate : candidates) {
                            if (inside(candidate.slot)) near.push_back(candidate);
                          }
                          select_neighbors<Distance>(view_, near, kept_edges(M_), kept);
                        });
  }

  RangeGraph& graph_;
  const VectorView& view_;
  const RangeExtend& options_;
  const std::size_t M_;
  CodeStore::Snapshot codes_;  // without a codec where walks read the vectors
  RangeLayers* layers_ = nullptr;
  const Order* order_ = nullptr;
  std::vector<Slot> starts_;
  std::span<const Slot> slots_;               // of the batch
  std::vector<std::vector<Neighbor>> links_;  // chosen edges, a row per node and layer
  ReverseEdges reverse_;
};

std::size_t RangeGraph::extend(const VectorView& view, const RangeExtend& options) {
  check_view(view);
  check_codes(options.codes);
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(options.keys.size() == options.slots.size(), "there are " + std::to_string(options.keys.size()) +
                                                             " keys for " + std::to_string(options.slots.size()) +
                                                             " slots; expected one for each");
  VDB_CHECK(view.n <= kMaxSlots, "a graph holds at most 2147483647 slots, got " + std::to_string(view.n));
  VDB_CHECK(RowSet::from_slots(options.slots, view.n).count() == options.slots.size(), "a slot is given twice");
  const std::lock_guard lock(writer_);
  if (view.n < linked_.size()) return 0;  // the table as it was before rows that are here already
  return RangeBuilder(*this, view, options).run();
}

}  // namespace vdb
