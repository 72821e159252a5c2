#include <mutex>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/search.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Queries per turn of a thread.
constexpr std::size_t kQueriesPerChunk = 8;

}  // namespace

template <class Distance, class Filter>
bool Hnsw::search_one(const Distance& distance, const Filter& filter, const HnswSearch& how, std::size_t n,
                      Scratch& scratch, SearchStats& stats, CancelToken* cancel) {
  const std::shared_ptr<Layers> graph = layers();
  Entry entry{};
  if (!find_entry(how.limit, entry)) {
    scratch.pool.reset(how.pool);
    scratch.allowed.reset(how.ef);
    return true;
  }
  Slot start = entry.slot;
  for (std::size_t level = entry.level; level > 0; --level) {
    start = descend(distance, graph->edges(level, params_.M), how.limit, start, stats);
  }
  const BeamLimits limits{how.ef, how.pool, n, how.budget, cancel};
  return beam_search(distance, filter, OneHop{graph->edges(0, params_.M), how.limit}, limits, {&start, 1}, scratch, stats);
}

SearchStats Hnsw::search(const VectorView& view, const QueryBatch& batch, const HnswSearch& how,
                         const Answers& answers) {
  check_view(view);
  VDB_CHECK(batch.rows == nullptr || batch.rows->size() == view.n, "the row set does not cover the vectors");
  HnswSearch sane = how;
  sane.ef = std::max({how.ef, batch.k, std::size_t{1}});
  sane.pool = std::max(how.pool, sane.ef);
  sane.limit = std::min({how.limit, covered(), view.n});
  sane.ef = std::min(sane.ef, std::max<std::size_t>(sane.limit, 1));
  sane.pool = std::min(sane.pool, std::max<std::size_t>(sane.limit, 1));

  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerChunk, batch.threads}, [&](const Chunk& chunk) {
    const ScratchPool::Handle scratch = scratches_.take();
    SearchStats stats;
    std::vector<Neighbor>& nearest = scratch->neighbors;
    for (std::size_t q = chunk.begin; q < chunk.end; ++q) {
      if (batch.cancel->poll()) throw Cancelled();
      Slot* const slots = answers.slots + q * batch.k;
      float* const distances = answers.distances + q * batch.k;
      with_distance(view, batch.queries + q * view.dim, [&]<class Distance>(const Distance& distance) {
        if (batch.rows != nullptr) {
          const bool finished = search_one(distance, AllowRows{*batch.rows}, sane, view.n, *scratch, stats, batch.cancel);
          if (!finished) stats.exhausted.push_back(static_cast<std::uint32_t>(q));
          write_answer<Distance>(scratch->allowed.sorted(), batch.k, slots, distances);
          return;
        }
        search_one(distance, AllowAll{}, sane, view.n, *scratch, stats, batch.cancel);
        nearest.clear();
        for (std::size_t i = 0; i < std::min(batch.k, scratch->pool.size()); ++i) nearest.push_back(scratch->pool[i]);
        write_answer<Distance>(nearest, batch.k, slots, distances);
      });
    }
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  return total;
}

}  // namespace vdb
