// What the searches of all graphs do around their walks: limits within reason, queries shared out among threads, and
// the answer to each written with what is known of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <span>

#include "base/thread_pool.h"
#include "core/neighbor.h"
#include "core/search_batch.h"
#include "core/search_stats.h"

namespace vdb {

// The same with a limit of at most `slots`, and room for one candidate more than an answer takes, to see ties.
template <class How>
How within_reason(How how, std::size_t k, std::size_t slots) {
  how.limit = std::min(how.limit, slots);
  const std::size_t most = std::max<std::size_t>(how.limit, 1);
  how.ef = std::min(std::max(how.ef, k + 1), most);
  how.pool = std::min(std::max(how.pool, how.ef), most);
  return how;
}

// What a search found for one query.
struct Outcome {
  std::span<const Neighbor> found;  // up to one more than the answer takes
  bool finished;                    // no budget ended it
  std::size_t candidates;           // rows that might have been found
};

template <class Distance>
void write_outcome(const Outcome& outcome, const QueryBatch& batch, std::size_t q, const Answers& answers,
                   SearchStats& stats) {
  const std::size_t found = outcome.found.size();
  write_answer<Distance>(outcome.found, batch, q, answers, stats);
  // No row was seen beyond the answer, though there are some: one may be as near as its last.
  if (found == batch.k && outcome.candidates > batch.k) stats.cut.push_back(static_cast<std::uint32_t>(q));
  if (!outcome.finished || found < batch.k) stats.unfinished.push_back(static_cast<std::uint32_t>(q));
}

// Answers all queries by searchers, one for each turn of a thread, which have answer(q) and stats().
template <class MakeSearcher>
SearchStats answer_in_turns(const QueryBatch& batch, const MakeSearcher& make) {
  constexpr std::size_t kQueriesPerTurn = 8;
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerTurn, batch.threads}, [&](const Chunk& turn) {
    auto searcher = make();
    for (std::size_t q = turn.begin; q < turn.end; ++q) {
      if (batch.cancel->poll()) throw Cancelled();
      searcher.answer(q);
    }
    const std::lock_guard lock(total_mutex);
    total += searcher.stats();
  });
  total.sort();
  return total;
}

}  // namespace vdb
