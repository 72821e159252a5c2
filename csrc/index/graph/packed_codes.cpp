#include "index/graph/packed_codes.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/dimensions.h"
#include "index/graph/packed_encoder.h"

namespace vdb {
namespace {

// Rows beyond one per slot: a rebuild of that many blocks waits once for the searches that run. Each costs memory.
constexpr std::size_t kSpareDivisor = 64;
constexpr std::size_t kMinSpare = 64;
// Nodes between two looks at the token, and per turn of a thread: one takes some 20 microseconds.
constexpr std::size_t kNodesPerPoll = 1024;
constexpr std::size_t kNodesPerChunk = 8;

std::size_t rows_for(std::size_t slots) noexcept { return slots + std::max(kMinSpare, slots / kSpareDivisor); }

const PackedParams& checked(const PackedParams& params, std::size_t slots) {
  VDB_CHECK(params.degree >= 1, "packed codes need a degree of at least 1, got 0");
  VDB_CHECK(slots <= kMaxSlots, "packed codes hold at most 2147483647 slots, got " + std::to_string(slots));
  VDB_CHECK(
      params.centre.empty() || params.centre.size() == params.dim,
      "the centre has " + std::to_string(params.centre.size()) + " values, the vectors " + std::to_string(params.dim));
  return params;
}

const PackedCodes& checked_growth(const PackedCodes& smaller, std::size_t slots) {
  VDB_CHECK(slots >= smaller.slots(),
            "packed codes of " + std::to_string(smaller.slots()) + " slots cannot shrink to " + std::to_string(slots));
  checked(smaller.params(), slots);
  return smaller;
}

std::vector<float> rotated_centre(const PackedParams& params, const Rotation& rotation) {
  std::vector<float> centre(rotation.padded_dim(), 0.0F);
  if (params.centre.empty()) return centre;
  rotation.apply(params.centre.data(), centre.data());
  return centre;
}

}  // namespace

PackedCodes::PackedCodes(const PackedParams& params, std::size_t slots)
    : params_(checked(params, slots)),
      rotation_(std::make_shared<const Rotation>(params.dim, params.seed)),
      centre_(rotated_centre(params, *rotation_)),
      layout_(rotation_->padded_dim(), params.degree),
      rows_(rows_for(slots) * layout_.block_bytes(), std::uint8_t{0}),
      row_of_(slots, kNoRow) {
  free_.reserve(rows_for(slots));
  retired_.reserve(rows_for(slots));
  for (std::size_t row = rows_for(slots); row-- > 0;) free_.push_back(static_cast<std::uint32_t>(row));
}

PackedCodes::PackedCodes(const PackedCodes& smaller, std::size_t slots)
    : params_(checked_growth(smaller, slots).params_),
      rotation_(smaller.rotation_),
      centre_(smaller.centre_),
      layout_(smaller.layout_),
      rows_(smaller.rows_.grown(rows_for(slots) * layout_.block_bytes(), std::uint8_t{0})),
      row_of_(smaller.row_of_.grown(slots, kNoRow)) {
  free_.reserve(rows_for(slots));
  retired_.reserve(rows_for(slots));
  for (std::size_t row = rows_for(slots); row-- > rows_for(smaller.slots());) {
    free_.push_back(static_cast<std::uint32_t>(row));
  }
  // Nobody reads this copy yet, so what the other one waits to reuse is free here.
  free_.insert(free_.end(), smaller.retired_.begin(), smaller.retired_.end());
  free_.insert(free_.end(), smaller.free_.begin(), smaller.free_.end());
}

std::size_t PackedCodes::memory_bytes() const noexcept {
  return rows_.bytes() + row_of_.bytes() + (free_.capacity() + retired_.capacity()) * sizeof(std::uint32_t) +
         centre_.size() * sizeof(float) + rotation_->memory_bytes();
}

void PackedCodes::check(const VectorView& view, const Adjacency& edges, std::span<const Slot> nodes) const {
  VDB_CHECK(view.dim == params_.dim, "the vectors have " + std::to_string(view.dim) + " dimensions, the packed codes " +
                                         std::to_string(params_.dim));
  VDB_CHECK(view.metric == params_.metric, "the vectors are bound to metric " + std::string(name_of(view.metric)) +
                                               ", the packed codes to " + std::string(name_of(params_.metric)));
  VDB_CHECK(edges.width() <= layout_.groups * PackedLayout::kGroup,
            "nodes have up to " + std::to_string(edges.width()) + " edges, packed codes are for " +
                std::to_string(params_.degree));
  const std::size_t limit = std::min(view.n, slots());
  for (const Slot node : nodes) {
    VDB_CHECK(node < limit, "slot " + std::to_string(node) + " is not below " + std::to_string(limit));
  }
}

void PackedCodes::rebuild(const VectorView& view, const Adjacency& edges, std::span<const Slot> nodes,
                          std::size_t threads, CancelToken* cancel) {
  check(view, edges, nodes);
  while (!nodes.empty()) {
    if (cancel != nullptr && cancel->poll()) throw Cancelled();
    if (free_.empty()) reclaim();
    const std::size_t n = std::min({nodes.size(), free_.size(), kNodesPerPoll});
    rebuild_some(view, edges, nodes.first(n), threads);
    nodes = nodes.subspan(n);
  }
}

void PackedCodes::forget(std::span<const Slot> nodes) {
  for (const Slot node : nodes) {
    VDB_CHECK(node < slots(), "slot " + std::to_string(node) + " is not below " + std::to_string(slots()));
    const std::uint32_t row = std::atomic_ref<std::uint32_t>(entry(node)).exchange(kNoRow, std::memory_order_acq_rel);
    if (row != kNoRow) retired_.push_back(row);
  }
}

void PackedCodes::reclaim() {
  readers_.wait_for_earlier();
  free_.insert(free_.end(), retired_.begin(), retired_.end());
  retired_.clear();
}

void PackedCodes::rebuild_some(const VectorView& view, const Adjacency& edges, std::span<const Slot> nodes,
                               std::size_t threads) {
  // The row that each node does not use: its new one until it is published, then its old one.
  std::vector<std::uint32_t> unused(free_.rbegin(), free_.rbegin() + static_cast<std::ptrdiff_t>(nodes.size()));
  free_.resize(free_.size() - nodes.size());
  const auto retire = [&] {
    std::copy_if(unused.begin(), unused.end(), std::back_inserter(retired_), [](auto row) { return row != kNoRow; });
  };
  try {
    parallel_for({nodes.size(), kNodesPerChunk, threads}, [&](const Chunk& chunk) {
      PackedEncoder encoder(view, *rotation_, centre_, layout_);
      std::vector<Slot> neighbors;
      for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
        neighbors.clear();
        edges.for_each(nodes[i], [&](Slot neighbor) { neighbors.push_back(neighbor); });
        const std::uint32_t row = unused[i];
        encoder.encode(nodes[i], neighbors, rows_.data() + std::size_t{row} * layout_.block_bytes());
        unused[i] = std::atomic_ref<std::uint32_t>(entry(nodes[i])).exchange(row, std::memory_order_acq_rel);
      }
    });
  } catch (...) {
    retire();
    throw;
  }
  retire();
}

}  // namespace vdb
