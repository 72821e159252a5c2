#include "index/range/range.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "core/dimensions.h"

namespace vdb {

RangeGraph::RangeGraph(const RangeParams& params)
    : params_(params), layers_(std::make_shared<RangeLayers>(0, 1, params.M)), order_(std::make_shared<const Order>()) {
  VDB_CHECK(params.M >= 2 && params.M <= 1024, "M must be from 2 to 1024, got " + std::to_string(params.M));
  VDB_CHECK(params.ef_construction >= 1 && params.ef_construction <= 100'000,
            "ef_construction must be from 1 to 100000, got " + std::to_string(params.ef_construction));
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
}

std::shared_ptr<RangeLayers> RangeGraph::layers() {
  const std::lock_guard lock(shared_mutex_);
  return layers_;
}

std::shared_ptr<const Order> RangeGraph::order() {
  const std::lock_guard lock(shared_mutex_);
  return order_;
}

void RangeGraph::set_order(Order order) {
  auto next = std::make_shared<const Order>(std::move(order));
  const std::lock_guard lock(shared_mutex_);
  order_ = std::move(next);
}

void RangeGraph::reserve(std::size_t slots, std::size_t rows) {
  if (linked_.size() < slots) linked_.resize(slots, 0);
  const RangeLayers& old = *layers_;  // only the writer replaces it
  const std::size_t layers = std::max(layers_for(rows), old.count());
  if (slots <= old.slots() && layers == old.count()) return;
  // Exact for the first load, by half more for appends, so that a row at a time costs amortised constant copying.
  const std::size_t room = slots <= old.slots() ? old.slots() : std::max(slots, old.slots() + old.slots() / 2);
  auto larger = std::make_shared<RangeLayers>(old, room, layers);
  const std::lock_guard lock(shared_mutex_);
  layers_ = std::move(larger);
}

void RangeGraph::check_view(const VectorView& view) const {
  VDB_CHECK(view.dim == params_.dim,
            "the vectors have " + std::to_string(view.dim) + " dimensions, the graph " + std::to_string(params_.dim));
  VDB_CHECK(view.metric == params_.metric, "the vectors are bound to metric " + std::string(name_of(view.metric)) +
                                               ", the graph to " + std::string(name_of(params_.metric)));
}

void RangeGraph::check_codes(const CodeStore* codes) const {
  if (codes == nullptr) return;
  const CodeParams& of = codes->params();
  VDB_CHECK(of.dim == params_.dim && of.metric == params_.metric,
            "the codes are of " + std::to_string(of.dim) + " dimensions under " + std::string(name_of(of.metric)) +
                ", the graph of " + std::to_string(params_.dim) + " under " + std::string(name_of(params_.metric)));
}

std::size_t RangeGraph::layer_count() { return layers()->count(); }

std::size_t RangeGraph::memory_bytes() { return layers()->bytes() + order()->memory_bytes(); }

std::vector<Slot> RangeGraph::neighbors(Slot slot, std::size_t layer) {
  const std::lock_guard lock(writer_);
  const bool present = slot < linked_.size() && linked_[slot] != 0 && layer < layers_->count();
  VDB_CHECK(present, "slot " + std::to_string(slot) + " is not in the graph, or it has no layer " +
                         std::to_string(layer) + "; there are " + std::to_string(layers_->count()));
  std::vector<Slot> found;
  layers_->edges(layer).for_each(slot, [&](Slot neighbor) { found.push_back(neighbor); });
  return found;
}

}  // namespace vdb
