// How a scan cuts its rows: tiles small enough to stay in a cache while every query of a group passes over them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/distance.h"
#include "core/search_batch.h"
#include "core/top_k.h"
#include "core/vectors.h"
#include "simd/kernels.h"

namespace vdb {

struct Tile {
  std::size_t begin;
  std::size_t end;
};

// Rows of stored vectors that are measured together: 512 KiB stay in the second-level cache.
inline std::size_t vector_tile_rows(const VectorView& view) {
  constexpr std::size_t kTileBytes = std::size_t{1} << 19;
  constexpr std::size_t kLeastRows = 64;
  return std::max(kTileBytes / view.row_bytes(), kLeastRows);
}

// The allowed slots of a range in blocks of at least a number of them, ascending.
class SlotBlocks {
 public:
  SlotBlocks(const RowSet* rows, const Tile& range) : rows_(rows), at_(range.begin), end_(range.end) {
    const std::size_t allowed = rows == nullptr ? range.end : std::max<std::size_t>(rows->count(), 1);
    per_allowed_ = std::max<std::size_t>(rows == nullptr ? 1 : rows->size() / allowed, 1);
  }

  // About `wanted` slots, more where many stand together, fewer at the end; none behind it.
  std::span<const Slot> next(std::size_t wanted) {
    std::size_t n = 0;
    while (n < wanted && at_ < end_) {
      // Up to a multiple of a word, so that no later listing begins inside of one.
      const std::size_t stretch = std::clamp((wanted - n) * per_allowed_, kLeastStretch, kMostStretch);
      const std::size_t upto = std::min(end_, (at_ + stretch) / RowSet::kWordBits * RowSet::kWordBits);
      make_room(n, n + (upto - at_) + RowSet::kListSlack);
      if (rows_ != nullptr) {
        n += rows_->list(at_, upto, room_.get() + n);
      } else {
        for (std::size_t slot = at_; slot < upto; ++slot) room_[n++] = static_cast<Slot>(slot);
      }
      at_ = upto;
    }
    return {room_.get(), n};
  }

 private:
  static constexpr std::size_t kLeastStretch = 64;
  static constexpr std::size_t kMostStretch = 8192;

  // For `size` slots, the first `n` of which stay. The rest is not written before it is listed.
  void make_room(std::size_t n, std::size_t size) {
    if (size <= size_) return;
    auto larger = std::make_unique_for_overwrite<Slot[]>(size + kMostStretch);
    std::copy_n(room_.get(), n, larger.get());
    room_ = std::move(larger);
    size_ = size + kMostStretch;
  }

  const RowSet* const rows_;
  std::size_t at_;
  const std::size_t end_;
  std::size_t per_allowed_;  // slots for each allowed one
  std::unique_ptr<Slot[]> room_;
  std::size_t size_ = 0;  // of the room
};

// Scans rows against queries that follow each other in memory: the tile form of the kernels where most rows of a tile
// are allowed, the gathered form where few are or the metric has no tile form. Both give the same distances.
template <class Distance>
class VectorScan {
 public:
  VectorScan(const VectorView& view, std::span<const Distance> distances, std::span<TopK> nearest)
      : view_(view),
        tile_(tile_form(view)),
        distances_(distances),
        nearest_(nearest),
        values_(distances.size() * kBlockRows) {}

  // `slots` are all that are allowed from the first to the last of them, ascending, at least one.
  void measure(std::span<const Slot> slots) {
    if constexpr (kHasTiles) {
      const Tile tile{slots.front(), std::size_t{slots.back()} + 1};
      const std::size_t rows = tile.end - tile.begin;
      if (slots.size() == rows || (distances_.size() >= kManyQueries && 3 * slots.size() > 2 * rows)) {
        return read_through(slots, tile);
      }
    }
    gather(slots);
  }

 private:
  // Rows of one call of the kernel: their distances to a group of queries stay in the first or second-level cache.
  static constexpr std::size_t kBlockRows = 256;
  // From this many queries on, the tile form over all rows of a tile costs less than the gathered form over two thirds
  // of them: measured at 384 dimensions; with more queries or narrower values the margin grows.
  static constexpr std::size_t kManyQueries = 8;

  static constexpr bool kHasTiles = requires(const VectorView& view) { Distance::kernels_of(view); };

  static DistanceKernels::Tile tile_form(const VectorView& view) {
    if constexpr (kHasTiles) return Distance::kernels_of(view).tile;
    return nullptr;
  }

  void gather(std::span<const Slot> slots) {
    for (std::size_t q = 0; q < distances_.size(); ++q) {
      for_each_distance(distances_[q], slots, [&](Slot slot, float distance) { offer(q, slot, distance); });
    }
  }

  void read_through(std::span<const Slot> slots, const Tile& tile) {
    std::size_t first = 0;
    for (std::size_t begin = tile.begin; begin < tile.end; begin += kBlockRows) {
      const std::size_t n = std::min(kBlockRows, tile.end - begin);
      std::size_t last = first;
      while (last < slots.size() && slots[last] < begin + n) ++last;
      tile_({distances_[0].query(), distances_.size()}, {view_.row(static_cast<Slot>(begin)), n}, view_.dim,
            values_.data());
      for (std::size_t q = 0; q < distances_.size(); ++q) {
        const float* const values = values_.data() + q * n;
        for (const Slot slot : slots.subspan(first, last - first)) {
          offer(q, slot, distances_[q].finish(slot, values[slot - begin]));
        }
      }
      first = last;
    }
  }

  void offer(std::size_t q, Slot slot, float distance) {
    if (distance <= nearest_[q].threshold()) nearest_[q].push({distance, slot});
  }

  const VectorView& view_;
  const DistanceKernels::Tile tile_;
  const std::span<const Distance> distances_;
  const std::span<TopK> nearest_;
  std::vector<float> values_;
};

// The allowed slots of `all`, measured against each query into its `nearest`; returns the distances asked for. The
// queries of `distances` follow each other in memory.
template <class Distance>
std::size_t scan_vectors(const VectorView& view, const QueryBatch& batch, const Tile& all,
                         std::span<const Distance> distances, std::span<TopK> nearest) {
  VectorScan<Distance> scan(view, distances, nearest);
  SlotBlocks blocks(batch.rows, all);
  const std::size_t wanted = vector_tile_rows(view);
  std::size_t measured = 0;
  for (auto slots = blocks.next(wanted); !slots.empty(); slots = blocks.next(wanted)) {
    if (batch.cancel->poll()) throw Cancelled();
    scan.measure(slots);
    measured += slots.size() * distances.size();
  }
  return measured;
}

}  // namespace vdb
