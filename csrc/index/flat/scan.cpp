#include "index/flat/scan.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "core/top_k.h"

namespace vdb {
namespace {

// Rows read for one group of queries before moving on: a tile of 1 MiB of float32 stays in the second-level cache.
constexpr std::size_t kTileBytes = std::size_t{1} << 19;
// Queries that share a tile; also the unit of work of a thread.
constexpr std::size_t kQueriesPerGroup = 16;
struct Tile {
  std::size_t begin;
  std::size_t end;
};

// Slots of one tile in ascending order, listed once and used by every query of the group.
void list_slots(const RowSet* rows, const Tile& tile, std::vector<Slot>& slots) {
  slots.clear();
  const auto add = [&](Slot slot) { slots.push_back(slot); };
  if (rows != nullptr) {
    rows->for_each(tile.begin, tile.end, add);
  } else {
    for (std::size_t i = tile.begin; i < tile.end; ++i) add(static_cast<Slot>(i));
  }
}

// All tiles against queries [first, last).
template <class Distance>
SearchStats scan_group(const VectorView& view, const QueryBatch& batch, const Tile& all, const Chunk& group,
                       const Answers& answers) {
  const std::size_t width = group.end - group.begin;
  std::vector<TopK> nearest(width);
  std::vector<Distance> distances;
  for (std::size_t q = 0; q < width; ++q) {
    nearest[q].reset(std::min(batch.k, all.end - all.begin) + 1);
    distances.emplace_back(view, batch.queries + (group.begin + q) * view.dim);
  }
  const std::size_t tile_rows = std::max<std::size_t>(kTileBytes / (view.dim * sizeof(float)), 64);
  std::vector<Slot> slots;
  SearchStats stats;
  for (std::size_t begin = all.begin; begin < all.end; begin += tile_rows) {
    if (batch.cancel->poll()) throw Cancelled();
    list_slots(batch.rows, {begin, std::min(begin + tile_rows, all.end)}, slots);
    for (std::size_t q = 0; q < width; ++q) {
      for_each_distance(distances[q], slots, [&top = nearest[q]](Slot slot, float distance) {
        if (distance <= top.threshold()) top.push({distance, slot});
      });
    }
    stats.distances += slots.size() * width;
  }
  for (std::size_t q = 0; q < width; ++q) {
    write_answer<Distance>(nearest[q].sorted(), batch, group.begin + q, answers, stats);
  }
  return stats;
}

}  // namespace

SearchStats scan(const VectorView& view, const QueryBatch& batch, std::size_t begin, const Answers& answers) {
  VDB_CHECK(
      batch.rows == nullptr || batch.rows->size() == view.n,
      "the row set covers " + std::to_string(batch.rows->size()) + " slots, the vectors " + std::to_string(view.n));
  const Tile all{std::min(begin, view.n), view.n};
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerGroup, batch.threads}, [&](const Chunk& group) {
    const SearchStats stats = with_distance(view, batch.queries, [&]<class Distance>(const Distance&) {
      return scan_group<Distance>(view, batch, all, group, answers);
    });
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

}  // namespace vdb
