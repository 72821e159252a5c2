// The blocks of packed neighbours follow the edges: whoever stores a row of level 0 marks it, and once its work is done
// the marked rows are encoded. Until then walks go by the codes of the nodes themselves.
#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/check.h"
#include "core/sample.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Rows whose mean the codes are taken about.
constexpr std::size_t kCentreRows = 4096;

std::vector<float> mean_row(const VectorView& view, std::span<const Slot> slots, std::uint64_t seed) {
  std::vector<double> sum(view.dim, 0.0);
  std::vector<float> row(view.dim);
  std::size_t n = 0;
  for (const std::size_t i : sample_rows(slots.size(), kCentreRows, seed)) {
    to_code_space(view, slots[i], code_scale(view, slots[i]), row.data());
    if (!std::isfinite(row[0])) continue;
    for (std::size_t d = 0; d < view.dim; ++d) sum[d] += double{row[d]};
    ++n;
  }
  for (std::size_t d = 0; d < view.dim; ++d) {
    row[d] = n == 0 ? 0.0F : static_cast<float>(sum[d] / static_cast<double>(n));
  }
  return row;
}

}  // namespace

std::shared_ptr<const PackedCodes> Hnsw::packed(std::size_t limit) {
  if (!params_.packed || packed_covered_.load(std::memory_order_acquire) < limit) return nullptr;
  const std::lock_guard lock(layers_mutex_);
  return packed_;
}

void Hnsw::pack(const VectorView& view, std::size_t threads, CancelToken* cancel) {
  if (!params_.packed) return;
  const std::size_t slots = covered();
  // New nodes first: one without a block leads nowhere, so none may be linked to before it has its own.
  const std::size_t packed_before = packed_covered_.load(std::memory_order_relaxed);
  std::vector<Slot> nodes;
  std::vector<Slot> gone;
  const auto list = [&](std::size_t begin, std::size_t end) {
    for (std::size_t slot = begin; slot < end; ++slot) {
      if (changed_[slot] == 0) continue;
      (layers_->levels[slot] == kNoLevel ? gone : nodes).push_back(static_cast<Slot>(slot));
    }
  };
  list(std::min(packed_before, slots), slots);
  list(0, std::min(packed_before, slots));
  if (!packed_ || packed_->slots() < layers_->slots()) {
    std::shared_ptr<PackedCodes> larger;
    if (packed_) {
      larger = std::make_shared<PackedCodes>(*packed_, layers_->slots());
    } else {
      PackedParams params{params_.dim, params_.metric, layers_->widths.base, params_.seed,
                          mean_row(view, nodes, params_.seed)};
      larger = std::make_shared<PackedCodes>(params, layers_->slots());
    }
    const std::lock_guard lock(layers_mutex_);
    packed_ = std::move(larger);
  }
  packed_->rebuild(view, layers_->edges(0), nodes, threads, cancel);
  packed_->forget(gone);
  std::fill(changed_.begin(), changed_.end(), std::uint8_t{0});
  packed_covered_.store(slots, std::memory_order_release);
}

}  // namespace vdb
