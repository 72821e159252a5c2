#include <algorithm>
#include <mutex>
#include <span>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/hnsw/descend.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Queries per turn of a thread.
constexpr std::size_t kQueriesPerChunk = 8;

}  // namespace

template <class Distance, class Filter>
bool Hnsw::search_one(const Distance& distance, const Filter& filter, std::size_t limit, const Beam& beam) {
  const std::shared_ptr<Layers> graph = layers();
  Entry entry{};
  if (!find_entry(limit, entry)) {
    beam.scratch.pool.reset(beam.limits.pool);
    beam.scratch.allowed.reset(beam.limits.ef);
    return true;
  }
  const Slot start = descend(distance, *graph, params_.M, {entry.slot, entry.level, 0, limit}, beam);
  return beam_search(distance, filter, OneHop{graph->edges(0, params_.M), limit}, {&start, 1}, beam);
}

SearchStats Hnsw::search(const VectorView& view, const QueryBatch& batch, const HnswSearch& how,
                         const Answers& answers) {
  check_view(view);
  VDB_CHECK(batch.rows == nullptr || batch.rows->size() == view.n, "the row set does not cover the vectors");
  HnswSearch sane = how;
  sane.ef = std::max(how.ef, batch.k + 1);
  sane.pool = std::max(how.pool, sane.ef);
  sane.limit = std::min({how.limit, covered(), view.n});
  sane.ef = std::min(sane.ef, std::max<std::size_t>(sane.limit, 1));
  sane.pool = std::min(sane.pool, std::max<std::size_t>(sane.limit, 1));

  const std::size_t candidates = batch.rows != nullptr ? batch.rows->count() : view.n;
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerChunk, batch.threads}, [&](const Chunk& chunk) {
    const ScratchPool::Handle scratch = scratches_.take();
    SearchStats stats;
    const Beam beam{{sane.ef, sane.pool, view.n, sane.budget, batch.cancel}, *scratch, stats};
    std::vector<Neighbor>& nearest = scratch->neighbors;
    for (std::size_t q = chunk.begin; q < chunk.end; ++q) {
      if (batch.cancel->poll()) throw Cancelled();
      with_distance(view, batch.queries + q * view.row_bytes(), [&]<class Distance>(const Distance& distance) {
        bool finished = true;
        std::span<const Neighbor> found;
        if (batch.rows != nullptr) {
          finished = search_one(distance, AllowRows{*batch.rows}, sane.limit, beam);
          found = scratch->allowed.sorted();
        } else {
          finished = search_one(distance, AllowAll{}, sane.limit, beam);
          nearest.clear();
          const std::size_t wanted = std::min(batch.k + 1, scratch->pool.size());
          for (std::size_t i = 0; i < wanted; ++i) nearest.push_back(scratch->pool[i]);
          found = nearest;
        }
        finished = finished && found.size() >= batch.k;
        write_answer<Distance>(found, batch, q, answers, stats);
        // No row was seen beyond the answer, though there are some: one may be as near as its last.
        if (found.size() == batch.k && candidates > batch.k) stats.cut.push_back(static_cast<std::uint32_t>(q));
        if (!finished) stats.unfinished.push_back(static_cast<std::uint32_t>(q));
      });
    }
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

}  // namespace vdb
