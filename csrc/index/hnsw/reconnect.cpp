// What a repair tore apart is joined again: level 0 is flooded from the entry point, and a node the flood does not
// reach is linked from its nearest reached ones, after which the flood goes on from it.
#include <algorithm>
#include <variant>

#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/search.h"
#include "index/hnsw/repair.h"

namespace vdb {
namespace {

// Weak nodes that search the graph as it is before any of them is linked.
constexpr std::size_t kWeakBatch = 64;
// Nodes whose neighbours are marked in the time in which one looks for its links.
constexpr std::size_t kExpansionsPerSearch = 128;

// Edges that lead to a lost node afterwards: the later choice of one row may drop one of them.
constexpr std::size_t kEdgesToLost = 2;

std::vector<Slot> slots_of(std::span<const Neighbor> neighbors) {
  std::vector<Slot> slots;
  for (const Neighbor& neighbor : neighbors) slots.push_back(neighbor.slot);
  return slots;
}

}  // namespace

template <class Distance>
bool HnswRepair::reconnect(std::size_t expansions) {
  Hnsw::Entry entry{};
  if (!graph_.find_entry(state_.nodes, entry)) return true;  // nobody is left
  const auto spend = [&](std::size_t cost) { expansions -= std::min(expansions, cost); };
  while (state_.weak_linked < state_.weak.size()) {
    if (expansions == 0) return false;
    link_weak_batch<Distance>(entry.slot);
    spend(kWeakBatch * kExpansionsPerSearch);
  }
  reach(entry.slot);
  const Adjacency base = layers_.edges(0);
  while (expansions > 0) {
    if (options_.cancel->poll()) throw Cancelled();
    if (state_.open.empty()) {
      Slot lost = 0;
      if (!find_unreached(lost)) return true;
      link_lost<Distance>(lost, entry.slot);
      reach(lost);
      spend(kExpansionsPerSearch);
    }
    const Slot slot = state_.open.back();
    state_.open.pop_back();
    base.for_each(slot, [&](Slot neighbor) { reach(neighbor); });
    spend(1);
  }
  return false;
}

// Nodes that lost most of their neighbours look for new ones as if they were inserted: what their dead neighbours led
// to is a poor choice.
template <class Distance>
void HnswRepair::link_weak_batch(Slot entry) {
  const std::size_t count = std::min(kWeakBatch, state_.weak.size() - state_.weak_linked);
  const std::span<const EdgeRow> rows(state_.weak.data() + state_.weak_linked, count);
  if (links_.size() < count) links_.resize(count);
  parallel_for({count, kNodesPerChunk, options_.threads}, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
      choose_relinked<Distance>(rows[i].level, find_near<Distance>(rows[i], entry), links_[i]);
    }
  });
  for (std::size_t i = 0; i < count; ++i) {
    put_in_front<Distance>(rows[i], links_[i]);
    for (const Neighbor& link : links_[i]) {
      const EdgeRow target{link.slot, rows[i].level};
      if (!append_edge<Distance>(target, rows[i].slot)) choose_anew<Distance>(target, {link.distance, rows[i].slot});
    }
  }
  state_.weak_linked += count;
}

// A lost node gets edges from its nearest nodes that have room, for a new edge in the place of another may lose the
// next. Where all are full, the nearest gives up its farthest neighbour.
template <class Distance>
void HnswRepair::link_lost(Slot slot, Slot entry) {
  const std::vector<Neighbor> near = find_near<Distance>({slot, 0}, entry);
  std::size_t linked = 0;
  for (std::size_t i = 0; i < near.size() && linked < kEdgesToLost; ++i) {
    linked += append_edge<Distance>({near[i].slot, 0}, slot) ? 1U : 0U;
  }
  if (linked == 0) replace_farthest<Distance>({near.front().slot, 0}, slot);
  std::vector<Neighbor> links;
  choose_relinked<Distance>(0, near, links);
  put_in_front<Distance>({slot, 0}, links);
}

void HnswRepair::reach(Slot slot) {
  if (slot >= state_.nodes || state_.reached[slot]) return;
  state_.reached[slot] = true;
  state_.open.push_back(slot);
}

bool HnswRepair::find_unreached(Slot& slot) {
  for (; state_.next < state_.nodes; ++state_.next) {
    slot = static_cast<Slot>(state_.next);
    if (layers_.levels[slot] != kNoLevel && !state_.reached[slot]) return true;
  }
  return false;
}

template <class Distance>
std::vector<Neighbor> HnswRepair::find_near(EdgeRow node, Slot entry) const {
  const ScratchPool::Handle scratch = graph_.scratches_.take();
  const Distance distance(view_, node.slot);
  const std::size_t ef = candidates();
  const OneHop expansion{layers_.edges(node.level), view_.n};
  SearchStats stats;
  const Beam beam{{ef, ef, view_.n, 0, options_.cancel}, *scratch, stats};
  beam_search(distance, AllowAll{}, expansion, {&entry, 1}, beam);
  std::vector<Neighbor> near;
  for (std::size_t i = 0; i < scratch->pool.size(); ++i) {
    if (scratch->pool[i].slot != node.slot) near.push_back(scratch->pool[i]);
  }
  return near;
}

template <class Distance>
void HnswRepair::put_in_front(EdgeRow node, std::span<const Neighbor> links) const {
  const std::size_t width = layers_.edges(node.level).width();
  std::vector<Slot> row = slots_of(links);
  for (const Slot neighbor : neighbors_of(node)) {
    if (row.size() < width && std::find(row.begin(), row.end(), neighbor) == row.end()) row.push_back(neighbor);
  }
  store<Distance>(node, row);
}

template <class Distance>
bool HnswRepair::append_edge(EdgeRow node, Slot to) const {
  std::vector<Slot> row = neighbors_of(node);
  if (std::find(row.begin(), row.end(), to) != row.end()) return true;
  if (row.size() == layers_.edges(node.level).width()) return false;
  row.push_back(to);
  store<Distance>(node, row);
  return true;
}

template <class Distance>
void HnswRepair::choose_anew(EdgeRow node, Neighbor also) const {
  std::vector<Neighbor> candidates = nearest_of<Distance>(node);
  candidates.insert(std::lower_bound(candidates.begin(), candidates.end(), also), also);
  std::vector<Neighbor> chosen;
  choose_all<Distance>(node.level, candidates, chosen);
  std::vector<Slot> row = slots_of(chosen);
  store<Distance>(node, row);
}

template <class Distance>
void HnswRepair::replace_farthest(EdgeRow node, Slot by) const {
  std::vector<Slot> row = slots_of(nearest_of<Distance>(node));
  row.back() = by;
  store<Distance>(node, row);
}

template <class Distance>
void HnswRepair::choose_all(std::size_t level, std::span<const Neighbor> candidates,
                            std::vector<Neighbor>& kept) const {
  const ScratchPool::Handle scratch = graph_.scratches_.take();
  const RowChoice row{view_, layers_, level, *scratch};
  const EdgeCounts room{layers_.edges(level).width()};
  std::visit([&](const auto& rule) { rule.template choose<Distance>(row, candidates, room, kept); }, graph_.rule_);
}

template <class Distance>
void HnswRepair::choose_relinked(std::size_t level, std::span<const Neighbor> candidates,
                                 std::vector<Neighbor>& kept) const {
  const ScratchPool::Handle scratch = graph_.scratches_.take();
  const RowChoice row{view_, layers_, level, *scratch};
  const auto by = [&](const auto& rule) {
    rule.template choose<Distance>(row, candidates, rule.relinked(level), kept);
  };
  std::visit(by, graph_.rule_);
}

template <class Distance>
void HnswRepair::store(EdgeRow node, std::vector<Slot>& row) const {
  std::visit([&](const auto& rule) { rule.template arrange<Distance>(view_, node.slot, row); }, graph_.rule_);
  layers_.edges(node.level).store(node.slot, row);
  graph_.changed_[node.slot] = 1;
}

std::vector<Slot> HnswRepair::neighbors_of(EdgeRow node) const {
  std::vector<Slot> row;
  layers_.edges(node.level).for_each(node.slot, [&](Slot neighbor) { row.push_back(neighbor); });
  return row;
}

template <class Distance>
std::vector<Neighbor> HnswRepair::nearest_of(EdgeRow node) const {
  std::vector<Neighbor> nearest;
  const Distance distance(view_, node.slot);
  for_each_distance(distance, neighbors_of(node), [&](Slot slot, float d) { nearest.push_back({d, slot}); });
  std::sort(nearest.begin(), nearest.end());
  return nearest;
}

template bool HnswRepair::reconnect<L2Distance>(std::size_t);
template bool HnswRepair::reconnect<CosineDistance>(std::size_t);
template bool HnswRepair::reconnect<InnerProductDistance>(std::size_t);
template bool HnswRepair::reconnect<CustomDistance>(std::size_t);

}  // namespace vdb
