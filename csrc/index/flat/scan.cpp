#include "index/flat/scan.h"

#include <algorithm>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "core/top_k.h"
#include "index/flat/tiles.h"

namespace vdb {
namespace {

// Queries that share a tile; also the unit of work of a thread. Of a file larger than memory every group reads all, so
// there are as few as there are threads.
constexpr std::size_t kQueriesPerGroup = 16;
constexpr std::size_t kQueriesPerPass = 256;

std::size_t queries_together(const VectorView& view, const QueryBatch& batch) {
  if (view.in_order == nullptr) return kQueriesPerGroup;
  const std::size_t threads = batch.threads == 0 ? hardware_threads() : batch.threads;
  return std::clamp((batch.nq + threads - 1) / threads, kQueriesPerGroup, kQueriesPerPass);
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
    distances.emplace_back(view, batch.queries + (group.begin + q) * view.row_bytes());
  }
  SearchStats stats;
  stats.distances = scan_vectors<Distance>(view, batch, all, distances, nearest);
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
  const VectorView pass = for_pass(view, batch.rows == nullptr ? view.n : batch.rows->count(), view.n);
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, queries_together(view, batch), batch.threads}, [&](const Chunk& group) {
    const SearchStats stats = with_distance(pass, batch.queries, [&]<class Distance>(const Distance&) {
      return scan_group<Distance>(pass, batch, all, group, answers);
    });
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

}  // namespace vdb
