#include <algorithm>
#include <mutex>
#include <span>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "index/graph/code_distance.h"
#include "index/graph/filter.h"
#include "index/graph/finish.h"
#include "index/graph/search.h"
#include "index/label/hop.h"
#include "index/label/label_graph.h"

namespace vdb {
namespace {

// Queries per turn of a thread.
constexpr std::size_t kQueriesPerChunk = 8;

}  // namespace

// The queries of one turn of a thread.
class LabelSearcher {
 public:
  LabelSearcher(LabelGraph& graph, const VectorView& view, const QueryBatch& batch, const LabelSearch& how)
      : view_(view), batch_(batch), how_(how), now_(graph.published()), scratch_(graph.scratches_.take()) {
    if (how.codes != nullptr) codes_ = how.codes->snapshot();
    if (codes_.covered < how.limit) codes_ = {};
    for (const std::uint32_t label : how.labels) {
      const Overlay* const overlay = find_overlay(*now_.overlays, label);
      if (overlay == nullptr) {
        complete_ = false;
      } else if (std::find(overlays_.begin(), overlays_.end(), overlay) == overlays_.end()) {
        overlays_.push_back(overlay);
        nodes_ += overlay->nodes;
      }
    }
  }

  void answer(std::size_t q, const Answers& answers) {
    const std::byte* const query = batch_.queries + q * view_.row_bytes();
    with_distance(view_, query, [&]<class Distance>(const Distance& distance) {
      const bool walked = codes_.codec ? find_by_codes(distance, query) : find(distance, batch_.k + 1, stats_);
      const std::span<const Neighbor> found = scratch_->neighbors;
      write_answer<Distance>(found, batch_, q, answers, stats_);
      // No row was seen beyond the answer, though there are some: one may be as near as its last.
      const std::size_t candidates = batch_.rows != nullptr ? batch_.rows->count() : nodes_;
      if (found.size() == batch_.k && candidates > batch_.k) stats_.cut.push_back(static_cast<std::uint32_t>(q));
      const bool finished = complete_ && walked && found.size() >= batch_.k;
      if (!finished) stats_.unfinished.push_back(static_cast<std::uint32_t>(q));
    });
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
  // The nearest allowed nodes of all overlays, at most `keep`, into scratch.neighbors; false where the budget ended it.
  template <class Distance>
  bool find(const Distance& distance, std::size_t keep, SearchStats& stats) {
    std::vector<Neighbor>& found = scratch_->neighbors;
    found.clear();
    const std::uint64_t before = stats.distances;
    bool finished = true;
    for (const Overlay* const overlay : overlays_) {
      std::uint64_t budget = how_.budget;
      if (budget != 0) {
        const std::uint64_t spent = stats.distances - before;
        if (spent >= budget) return false;
        budget -= spent;
      }
      const Beam beam{{how_.ef, how_.pool, view_.n, budget, batch_.cancel}, *scratch_, stats};
      finished = walk(distance, *overlay, beam) && finished;
    }
    if (overlays_.size() > 1) {  // a row that has several of the labels was found in several overlays
      std::sort(found.begin(), found.end());
      found.erase(std::unique(found.begin(), found.end()), found.end());
    }
    if (found.size() > keep) found.resize(keep);
    return finished;
  }

  // Appends what a walk of one overlay finds to scratch.neighbors.
  template <class Distance>
  bool walk(const Distance& distance, const Overlay& overlay, const Beam& beam) {
    std::vector<Slot>& entries = scratch_->row;
    entries.clear();
    for (const Slot entry : overlay.entries) {
      if (entry < how_.limit) entries.push_back(entry);
    }
    std::vector<Neighbor>& found = scratch_->neighbors;
    const LabelHop hop(*now_.rows, overlay.number, how_.limit);
    if (batch_.rows != nullptr) {
      const bool finished = beam_search(distance, AllowRows{*batch_.rows}, hop, entries, beam);
      const std::span<const Neighbor> allowed = scratch_->allowed.sorted();
      found.insert(found.end(), allowed.begin(), allowed.end());
      return finished;
    }
    const bool finished = beam_search(distance, AllowAll{}, hop, entries, beam);
    for (std::size_t i = 0; i < scratch_->pool.size(); ++i) found.push_back(scratch_->pool[i]);
    return finished;
  }

  // Walks by codes, then measures what it found on the vectors, the most promising first.
  template <class Distance>
  bool find_by_codes(const Distance& distance, const std::byte* query) {
    SearchStats walked;
    const float* const prepared = in_code_space(view_, query, *scratch_);
    const bool finished = scratch_->code_query.with_distance(codes_, prepared, [&](const auto& by_code) {
      const bool whole = find(by_code, how_.ef, walked);
      const std::size_t surely = std::min(scratch_->neighbors.size(), batch_.k);
      for (std::size_t i = 0; i < surely; ++i) distance.prefetch_row(scratch_->neighbors[i].slot);
      list_lower_bounds(by_code, view_.metric, *scratch_);
      return whole;
    });
    stats_.estimates += walked.distances;
    stats_.hops += walked.hops;
    stats_.distances += measure_nearest(distance, batch_.k + 1, batch_.cancel, *scratch_);
    return finished;
  }

  const VectorView& view_;
  const QueryBatch& batch_;
  const LabelSearch& how_;
  const LabelGraph::Published now_;
  ScratchPool::Handle scratch_;
  CodeStore::Snapshot codes_;
  std::vector<const Overlay*> overlays_;
  std::size_t nodes_ = 0;
  bool complete_ = true;  // every label has an overlay
  SearchStats stats_;
};

SearchStats LabelGraph::search(const VectorView& view, const QueryBatch& batch, const LabelSearch& how,
                               const Answers& answers) {
  check_view(view);
  check_codes(how.codes);
  VDB_CHECK(batch.rows == nullptr || batch.rows->size() == view.n, "the row set does not cover the vectors");
  LabelSearch sane = how;
  sane.limit = std::min({how.limit, covered(), view.n});
  const std::size_t most = std::max<std::size_t>(sane.limit, 1);
  sane.ef = std::min(std::max(how.ef, batch.k + 1), most);
  sane.pool = std::min(std::max(how.pool, sane.ef), most);

  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerChunk, batch.threads}, [&](const Chunk& chunk) {
    LabelSearcher searcher(*this, view, batch, sane);
    for (std::size_t q = chunk.begin; q < chunk.end; ++q) {
      if (batch.cancel->poll()) throw Cancelled();
      searcher.answer(q, answers);
    }
    const std::lock_guard lock(total_mutex);
    total += searcher.stats();
  });
  total.sort();
  return total;
}

}  // namespace vdb
