#include <algorithm>
#include <span>

#include "base/check.h"
#include "core/distance.h"
#include "index/graph/answer.h"
#include "index/graph/code_distance.h"
#include "index/graph/filter.h"
#include "index/graph/finish.h"
#include "index/graph/search.h"
#include "index/label/hop.h"
#include "index/label/label_graph.h"

namespace vdb {

// The queries of one turn of a thread.
class LabelSearcher {
 public:
  LabelSearcher(LabelGraph& graph, const VectorView& view, const QueryBatch& batch, const LabelSearch& how,
                const Answers& answers)
      : view_(view),
        batch_(batch),
        how_(how),
        answers_(answers),
        now_(graph.published()),
        scratch_(graph.scratches_.take()) {
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

  void answer(std::size_t q) {
    const std::byte* const query = batch_.queries + q * view_.row_bytes();
    with_distance(view_, query, [&]<class Distance>(const Distance& distance) {
      const bool finished = find_nearest(distance, query) && complete_;
      const std::size_t candidates = batch_.rows != nullptr ? batch_.rows->count() : nodes_;
      write_outcome<Distance>({scratch_->neighbors, finished, candidates}, batch_, q, answers_, stats_);
    });
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
  // The nearest k rows and one into scratch.neighbors; false where the budget ended it.
  template <class Distance>
  bool find_nearest(const Distance& distance, const std::byte* query) {
    if (!codes_.codec) return find(distance, batch_.k + 1, stats_);
    return find_by_codes(distance, query, {view_, batch_, codes_, *scratch_, stats_},
                         [&](const auto& by_code, SearchStats& walked) { return find(by_code, how_.ef, walked); });
  }

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

  const VectorView& view_;
  const QueryBatch& batch_;
  const LabelSearch& how_;
  const Answers& answers_;
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
  const LabelSearch sane = within_reason(how, batch.k, std::min(covered(), view.n));
  return answer_in_turns(batch, [&] { return LabelSearcher(*this, view, batch, sane, answers); });
}

}  // namespace vdb
