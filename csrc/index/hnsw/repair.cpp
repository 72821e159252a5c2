// Dead nodes leave the graph. As in a build, a batch of rows is chosen in parallel on the graph as it is, then stored,
// so the result depends neither on threads nor on how the work was sliced.
#include "index/hnsw/repair.h"

#include <algorithm>
#include <variant>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"

namespace vdb {
namespace {

// Slots whose rows are stored together, and the grid on which slices end.
constexpr std::size_t kBatch = 1024;
constexpr std::size_t kRowsPerChunk = 8;
// Dead nodes walked through on the way to living ones: enough to cross a dead neighbourhood, and a bound where a whole
// region is gone.
constexpr std::size_t kMaxDead = 256;
// A node's neighbours are marked this much faster than its edges are chosen.
constexpr std::size_t kExpansionsPerStep = 16;

}  // namespace

bool HnswRepair::is_needed(const Hnsw& graph, const RowSet& alive) {
  const std::size_t end = std::min(graph.covered(), alive.size());
  for (std::size_t slot = 0; slot < end; ++slot) {
    if (graph.layers_->levels[slot] != kNoLevel && !alive.contains(static_cast<Slot>(slot))) return true;
  }
  return false;
}

bool HnswRepair::run() {
  return with_distance(view_, view_.data, [&]<class Distance>(const Distance&) {
    std::size_t left = options_.steps;
    while (state_.nodes == 0) {
      const std::size_t end = std::min(state_.next + kBatch, graph_.covered());
      if (options_.cancel->poll()) throw Cancelled();
      mend_batch<Distance>(state_.next, end);
      left -= std::min(left, end - state_.next);
      state_.next = end;
      if (end == graph_.covered()) bury();
      if (left == 0) return false;
    }
    return reconnect<Distance>(left * kExpansionsPerStep);
  });
}

template <class Distance>
void HnswRepair::mend_batch(std::size_t begin, std::size_t end) {
  list_torn(begin, end);
  if (links_.size() < torn_.size()) links_.resize(torn_.size());
  parallel_for({torn_.size(), kRowsPerChunk, options_.threads}, [&](const Chunk& chunk) {
    std::vector<Slot> dead;
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) mend<Distance>(torn_[i], dead, links_[i]);
  });
  std::vector<Slot> row;
  for (std::size_t i = 0; i < torn_.size(); ++i) {
    row.clear();
    for (const Neighbor& neighbor : links_[i]) row.push_back(neighbor.slot);
    const TornRow& torn = torn_[i];
    layers_.edges(torn.at.level).store(torn.at.slot, row);
    if (2 * torn.living < std::max(torn.degree, graph_.params_.M)) state_.weak.push_back(torn.at);
    graph_.changed_[torn.at.slot] = 1;
  }
}

HnswRepair::TornRow HnswRepair::look_at(Slot slot, std::size_t level) const {
  TornRow row{{slot, level}, 0, 0};
  layers_.edges(level).for_each(slot, [&](Slot neighbor) {
    ++row.degree;
    row.living += state_.is_dead(neighbor) ? 0U : 1U;
  });
  return row;
}

void HnswRepair::list_torn(std::size_t begin, std::size_t end) {
  torn_.clear();
  for (std::size_t i = begin; i < end; ++i) {
    const Slot slot = static_cast<Slot>(i);
    if (layers_.levels[slot] == kNoLevel || state_.is_dead(slot)) continue;
    for (std::size_t level = 0; level <= layers_.levels[slot]; ++level) {
      const TornRow row = look_at(slot, level);
      if (row.living < row.degree) torn_.push_back(row);
    }
  }
}

// The edges of a torn row: the living ones stay, and some of those the dead led to come in their places.
template <class Distance>
void HnswRepair::mend(const TornRow& row, std::vector<Slot>& dead, std::vector<Neighbor>& links) {
  const ScratchPool::Handle scratch = graph_.scratches_.take();
  gather(row, dead, *scratch);
  const std::span<const Slot> living = std::span<const Slot>(scratch->row).first(row.living);
  const std::span<const Slot> found = std::span<const Slot>(scratch->row).subspan(row.living);
  auto& others = scratch->neighbors;
  others.clear();
  const Distance distance(view_, row.at.slot);
  for_each_distance(distance, found, [&](Slot slot, float d) { others.push_back({d, slot}); });
  std::sort(others.begin(), others.end());
  const TornChoice torn{{view_, layers_, row.at.level, *scratch}, row.at.slot, living, others, row.degree};
  std::visit([&](const auto& rule) { rule.template refill<Distance>(torn, links); }, graph_.rule_);
}

std::size_t HnswRepair::candidates() const {
  return std::visit([](const auto& rule) { return rule.candidates(); }, graph_.rule_);
}

// Into scratch.row: the living neighbours of the row, and behind them the living nodes its dead neighbours lead to.
// Beyond those it goes through more dead nodes only while too few were found.
void HnswRepair::gather(const TornRow& row, std::vector<Slot>& dead, Scratch& scratch) const {
  const Adjacency edges = layers_.edges(row.at.level);
  const std::size_t most = std::max(edges.width(), candidates());
  scratch.visited.reset(view_.n);
  scratch.visited.insert(row.at.slot);
  scratch.row.clear();
  dead.clear();
  const auto note = [&](Slot neighbor) {
    if (scratch.visited.insert(neighbor)) (state_.is_dead(neighbor) ? dead : scratch.row).push_back(neighbor);
  };
  edges.for_each(row.at.slot, note);
  const std::size_t direct = dead.size();
  for (std::size_t i = 0; i < dead.size() && scratch.row.size() < most; ++i) {
    const std::size_t found = scratch.row.size() - row.living;
    if (i >= direct && (i >= kMaxDead || found >= graph_.params_.M)) break;
    edges.for_each(dead[i], note);
  }
}

// No edge leads to a dead node any more: they leave. Entry points first, so that searches which begin now stand on
// living nodes; one that stands on a dead node goes on from the others it has seen.
void HnswRepair::bury() {
  const std::size_t slots = graph_.covered();
  state_.reached.assign(slots, false);
  std::vector<Slot> buried;
  for (std::size_t i = 0; i < slots; ++i) {
    const Slot slot = static_cast<Slot>(i);
    if (layers_.levels[slot] != kNoLevel && state_.is_dead(slot)) buried.push_back(slot);
  }
  for (const Slot slot : buried) layers_.levels[slot] = kNoLevel;
  graph_.restore_entries();
  for (const Slot slot : buried) {
    layers_.edges(0).store(slot, {});
    graph_.changed_[slot] = 1;
  }
  graph_.nodes_.fetch_sub(buried.size(), std::memory_order_relaxed);
  state_.nodes = slots;
  state_.next = 0;
}

bool Hnsw::repair(const VectorView& view, const RepairOptions& options) {
  check_view(view);
  VDB_CHECK(options.alive->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(options.steps > 0, "a slice of a repair takes at least 1 step, got 0");
  const std::lock_guard lock(writer_);
  if (view.n < covered()) return false;  // another thread has extended the graph beyond this view: its turn
  if (repair_ == nullptr) {
    if (!HnswRepair::is_needed(*this, *options.alive)) return true;
    repair_ = std::make_shared<RepairState>(*options.alive);
  }
  const bool done = HnswRepair(*this, view, options).run();
  pack(view, options.threads, options.cancel);
  if (done) repair_.reset();
  return done;
}

}  // namespace vdb
