#include "index/hnsw/hnsw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/rng.h"
#include "core/dimensions.h"

namespace vdb {
namespace {

// An entry point is its slot in the low half of a word and its level in the high one.
constexpr unsigned kEntryLevelShift = 32;

const HnswParams& checked(const HnswParams& params) {
  VDB_CHECK(params.M >= 2 && params.M <= 1024, "M must be from 2 to 1024, got " + std::to_string(params.M));
  VDB_CHECK(params.ef_construction >= 1 && params.ef_construction <= 100'000,
            "ef_construction must be from 1 to 100000, got " + std::to_string(params.ef_construction));
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
  VDB_CHECK(!params.packed || params.codes, "packed neighbours need codes, for the walks that cannot use them");
  return params;
}

}  // namespace

Hnsw::Hnsw(const HnswParams& params)
    : params_(checked(params)),
      rule_(edge_rule_of(params)),
      layers_(std::make_shared<Layers>(0, 0, std::visit([](const auto& rule) { return rule.widths(); }, rule_))) {
  if (!params.codes) return;
  const bool rabitq = *params.codes == CodecKind::kRabitq;
  VDB_CHECK(rabitq || *params.codes == CodecKind::kSq8, "a graph is walked by codes of kind sq8 or rabitq");
  VDB_CHECK(!rabitq || (params.code_bits >= 1 && params.code_bits <= 8),
            "rabitq has 1 to 8 bits, got " + std::to_string(params.code_bits));
  codes_ = std::make_unique<CodeStore>(CodeParams{.kind = *params.codes,
                                                  .dim = params.dim,
                                                  .metric = params.metric,
                                                  .seed = params.seed,
                                                  .bits = params.code_bits,
                                                  .aligned = true});
}

std::shared_ptr<Layers> Hnsw::layers() {
  const std::lock_guard lock(layers_mutex_);
  return layers_;
}

void Hnsw::reserve(std::size_t slots, std::size_t upper_rows) {
  if (changed_.size() < slots) changed_.resize(slots, 0);
  const Layers& old = *layers_;  // only the writer replaces it
  if (slots <= old.slots() && upper_rows <= old.upper_rows()) return;
  // Exact for the first load, by half more for appends, so that a row at a time costs amortised constant copying.
  const auto room = [](std::size_t needed, std::size_t have) {
    return needed <= have ? have : std::max(needed, have + have / 2);
  };
  auto larger = std::make_shared<Layers>(old, room(slots, old.slots()), room(upper_rows, old.upper_rows()));
  const std::lock_guard lock(layers_mutex_);
  layers_ = std::move(larger);
}

std::size_t Hnsw::level_of(Slot slot) const noexcept {
  const double level = -std::log(uniform(params_.seed, slot)) / std::log(static_cast<double>(params_.M));
  return std::min(static_cast<std::size_t>(level), kMaxLevel);
}

bool Hnsw::find_entry(std::size_t limit, Entry& entry) const noexcept {
  for (std::size_t i = entry_count_.load(std::memory_order_acquire); i > 0; --i) {
    // Acquire: a repair may have put another node here since the count was read.
    const std::uint64_t packed = entries_[i - 1].load(std::memory_order_acquire);
    entry = {static_cast<Slot>(packed), packed >> kEntryLevelShift};
    if (entry.slot < limit) return true;
  }
  return false;
}

void Hnsw::add_entry(Entry entry) noexcept {
  const std::size_t count = entry_count_.load(std::memory_order_relaxed);
  entries_[count].store(entry.slot | std::uint64_t{entry.level} << kEntryLevelShift, std::memory_order_release);
  entry_count_.store(count + 1, std::memory_order_release);
}

void Hnsw::restore_entries() noexcept {
  std::size_t count = 0;
  std::uint64_t next_level = 0;
  for (std::size_t slot = 0; slot < covered(); ++slot) {
    const std::uint64_t level = layers_->levels[slot];
    if (level == kNoLevel || level < next_level) continue;
    entries_[count++].store(slot | level << kEntryLevelShift, std::memory_order_release);
    next_level = level + 1;
  }
  entry_count_.store(count, std::memory_order_release);
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

std::size_t Hnsw::memory_bytes() {
  const auto blocks = packed(0);
  return layers()->bytes() + (codes_ ? codes_->memory_bytes() : 0) + (blocks ? blocks->memory_bytes() : 0);
}

std::vector<Slot> Hnsw::neighbors(Slot slot, std::size_t level) {
  const std::lock_guard lock(writer_);
  const bool present = slot < covered() && layers_->levels[slot] != kNoLevel && level <= layers_->levels[slot];
  VDB_CHECK(present, "slot " + std::to_string(slot) + " is not on level " + std::to_string(level));
  std::vector<Slot> found;
  layers_->edges(level).for_each(slot, [&](Slot neighbor) { found.push_back(neighbor); });
  return found;
}

}  // namespace vdb
