#include "index/hnsw/hnsw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "core/dimensions.h"

namespace vdb {

Hnsw::Hnsw(const HnswParams& params) : params_(params), layers_(std::make_shared<Layers>(0, 0, params.M)) {
  VDB_CHECK(params.M >= 2 && params.M <= 1024, "M must be from 2 to 1024, got " + std::to_string(params.M));
  VDB_CHECK(params.ef_construction >= 1 && params.ef_construction <= 100'000,
            "ef_construction must be from 1 to 100000, got " + std::to_string(params.ef_construction));
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
}

std::shared_ptr<Layers> Hnsw::layers() {
  const std::lock_guard lock(layers_mutex_);
  return layers_;
}

void Hnsw::reserve(std::size_t slots, std::size_t upper_rows) {
  const Layers& old = *layers_;  // only the writer replaces it
  const std::size_t M = params_.M;
  if (slots <= old.slots() && upper_rows <= old.upper_rows(M)) return;
  // Exact for the first load, by half more for appends, so that a row at a time costs amortised constant copying.
  const auto room = [](std::size_t needed, std::size_t have) {
    return needed <= have ? have : std::max(needed, have + have / 2);
  };
  auto larger = std::make_shared<Layers>(old, room(slots, old.slots()), room(upper_rows, old.upper_rows(M)), M);
  const std::lock_guard lock(layers_mutex_);
  layers_ = std::move(larger);
}

std::size_t Hnsw::level_of(Slot slot) const noexcept {
  const double level = -std::log(uniform(params_.seed, slot)) / std::log(static_cast<double>(params_.M));
  return std::min(static_cast<std::size_t>(level), kMaxLevel);
}

bool Hnsw::find_entry(std::size_t limit, Entry& entry) const noexcept {
  for (std::size_t i = entry_count_.load(std::memory_order_acquire); i > 0; --i) {
    entry = entries_[i - 1];
    if (entry.slot < limit) return true;
  }
  return false;
}

void Hnsw::add_entry(Entry entry) noexcept {
  const std::size_t count = entry_count_.load(std::memory_order_relaxed);
  entries_[count] = entry;
  entry_count_.store(count + 1, std::memory_order_release);
}

void Hnsw::check_view(const VectorView& view) const {
  VDB_CHECK(view.dim == params_.dim,
            "the vectors have " + std::to_string(view.dim) + " dimensions, the graph " + std::to_string(params_.dim));
  VDB_CHECK(view.metric == params_.metric, "the vectors are bound to metric " + std::string(name_of(view.metric)) +
                                               ", the graph to " + std::string(name_of(params_.metric)));
}

std::size_t Hnsw::max_level() const noexcept {
  Entry entry{};
  return find_entry(kMaxSlots, entry) ? entry.level : 0;
}

std::size_t Hnsw::memory_bytes() { return layers()->bytes(); }

std::vector<Slot> Hnsw::neighbors(Slot slot, std::size_t level) {
  const std::lock_guard lock(writer_);
  const bool present = slot < covered() && layers_->levels[slot] != kNoLevel && level <= layers_->levels[slot];
  VDB_CHECK(present, "slot " + std::to_string(slot) + " is not on level " + std::to_string(level));
  std::vector<Slot> found;
  layers_->edges(level, params_.M).for_each(slot, [&](Slot neighbor) { found.push_back(neighbor); });
  return found;
}

}  // namespace vdb
