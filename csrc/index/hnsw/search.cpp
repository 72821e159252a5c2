#include <algorithm>
#include <span>
#include <variant>

#include "base/check.h"
#include "core/distance.h"
#include "index/graph/adaptive_hop.h"
#include "index/graph/answer.h"
#include "index/graph/code_distance.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/filtered_search.h"
#include "index/graph/finish.h"
#include "index/graph/packed_hop.h"
#include "index/graph/search.h"
#include "index/graph/two_hop.h"
#include "index/hnsw/descend.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Packed neighbours serve where at least one slot in this many is allowed: each node on the way is measured.
constexpr std::size_t kPackedShare = 2;
// Nodes that an adaptive walk may go through though they are not allowed, for each candidate it keeps.
constexpr std::size_t kBridgesPerCandidate = 4;

}  // namespace

// The queries of one turn of a thread.
class HnswSearcher {
 public:
  HnswSearcher(Hnsw& graph, const VectorView& view, const QueryBatch& batch, const HnswSearch& how,
               const Answers& answers)
      : graph_(graph), view_(view), batch_(batch), how_(how), answers_(answers), scratch_(graph.scratches_.take()) {
    if (graph.codes_) codes_ = graph.codes_->snapshot();
    if (codes_.codec) how_.limit = std::min(how_.limit, codes_.covered);
    const bool narrow = batch.rows != nullptr && batch.rows->count() * kPackedShare < how.limit;
    if (narrow || (batch.rows != nullptr && how.arm != Arm::kPlain)) return;
    packed_ = graph.packed(how_.limit);
  }

  void answer(std::size_t q) {
    seeds_ = {how_.seeds.slots + q * how_.seeds.per_query, how_.seeds.per_query};
    const std::byte* const query = batch_.queries + q * view_.row_bytes();
    with_distance(view_, query, [&]<class Distance>(const Distance& distance) {
      const bool finished = find_nearest(distance, query);
      const std::size_t candidates = batch_.rows != nullptr ? batch_.rows->count() : view_.n;
      write_outcome<Distance>({scratch_->neighbors, finished, candidates}, batch_, q, answers_, stats_);
    });
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
  // The nearest k rows and one into scratch.neighbors; false where the budget ended it.
  template <class Distance>
  bool find_nearest(const Distance& distance, const std::byte* query) {
    if (packed_) return find_by_blocks(distance, query);
    if (!codes_.codec) return find(distance, batch_.k + 1, stats_);
    return find_by_codes(distance, query, {view_, batch_, codes_, *scratch_, stats_},
                         [&](const auto& by_code, SearchStats& walked) { return find(by_code, how_.ef, walked); });
  }

  // The nearest allowed nodes, at most `keep`, into scratch.neighbors; false where the budget ended it.
  template <class Distance>
  bool find(const Distance& distance, std::size_t keep, SearchStats& stats) {
    scratch_->neighbors.clear();
    const Beam beam{{how_.ef, how_.pool, view_.n, how_.budget, batch_.cancel}, *scratch_, stats};
    const std::shared_ptr<Layers> layers = graph_.layers();
    if (batch_.rows != nullptr && how_.arm == Arm::kAcorn) return find_as_published(distance, *layers, keep, beam);
    Slot start = kAbsentSlot;
    if (!find_start(distance, *layers, beam, start)) return true;
    const OneHop hop{layers->edges(0), how_.limit};
    if (batch_.rows != nullptr) return find_allowed(distance, hop, start, keep, beam);
    const bool finished = beam_search(distance, AllowAll{}, hop, {&start, 1}, beam);
    keep_pool(keep);
    return finished;
  }

  // The same under a filter, from `start` and the seeds.
  template <class Distance>
  bool find_allowed(const Distance& distance, const OneHop& hop, Slot start, std::size_t keep, const Beam& beam) {
    const RowSet& rows = *batch_.rows;
    bool finished = true;
    switch (how_.arm) {
      case Arm::kPlain:
        list_seeds();
        scratch_->entries.push_back(start);
        finished = beam_search(distance, AllowRows{rows}, hop, scratch_->entries, beam);
        keep_nearest(scratch_->allowed.sorted(), keep, *scratch_);
        return finished;
      case Arm::kPost:
        finished = search_then_filter(distance, AllowRows{rows}, hop, start, beam);
        keep_pool(keep);
        return finished;
      case Arm::kAdaptive: {
        AdaptiveHop adaptive({hop.edges, rows, hop.limit}, scratch_->surroundings, kBridgesPerCandidate * how_.ef);
        return find_passing(distance, adaptive, start, keep, beam);
      }
      case Arm::kAcorn:  // has its own way down
      case Arm::kTwoHop: break;
    }
    TwoHop two_hop({hop.edges, rows, hop.limit}, scratch_->surroundings);
    return find_passing(distance, two_hop, start, keep, beam);
  }

  // By an expansion that brings allowed nodes only. Its pool holds nothing else.
  template <class Distance, class Expansion>
  bool find_passing(const Distance& distance, Expansion& expansion, Slot start, std::size_t keep, const Beam& beam) {
    list_seeds();
    const bool passes = batch_.rows->contains(start);
    if (passes) scratch_->entries.push_back(start);
    Beam narrow = beam;
    narrow.limits.pool = how_.ef;
    const bool finished =
        search_passing(distance, expansion, {scratch_->entries, passes ? kAbsentSlot : start}, narrow);
    keep_pool(keep);
    return finished;
  }

  // The search of ACORN: every step, from the top level on, is among nodes that pass. The released code returns the
  // node on which its descent ended even where that fails; here it is only gone through.
  template <class Distance>
  bool find_as_published(const Distance& distance, Layers& layers, std::size_t keep, const Beam& beam) {
    Hnsw::Entry entry{};
    if (!graph_.find_entry(how_.limit, entry)) return true;
    const AcornEdges& rule = std::get<AcornEdges>(graph_.rule_);
    const auto hop_at = [&](std::size_t level) { return rule.hop(layers, level, *batch_.rows, how_.limit); };
    const Descent way{entry.slot, entry.level, 0, how_.limit};
    const Slot start = descend(distance, AllowRows{*batch_.rows}, hop_at, way, beam);
    AcornHop hop = hop_at(0);
    return find_passing(distance, hop, start, keep, beam);
  }

  // The allowed seeds into scratch.entries.
  void list_seeds() {
    scratch_->entries.clear();
    for (const Slot seed : seeds_) {
      if (seed < how_.limit && batch_.rows->contains(seed)) scratch_->entries.push_back(seed);
    }
  }

  // Where a walk of level 0 begins; false in a graph without a node below the limit.
  template <class Distance>
  bool find_start(const Distance& distance, Layers& layers, const Beam& beam, Slot& start) {
    Hnsw::Entry entry{};
    if (!graph_.find_entry(how_.limit, entry)) return false;
    start = descend(distance, layers, {entry.slot, entry.level, 0, how_.limit}, beam);
    return true;
  }

  // Walks by the blocks of packed neighbours, which measures the nodes it goes through.
  template <class Distance>
  bool find_by_blocks(const Distance& distance, const std::byte* query) {
    const Beam beam{{how_.ef, how_.pool, view_.n, how_.budget, batch_.cancel}, *scratch_, stats_};
    const std::shared_ptr<Layers> layers = graph_.layers();
    const PackedReaders::Reading reading = packed_->read();
    scratch_->packed_query.bind(*packed_, query, view_.dtype);
    const PackedHop hop(*packed_, scratch_->packed_query, how_.limit);
    scratch_->neighbors.clear();
    Slot start = kAbsentSlot;
    if (!find_start(distance, *layers, beam, start)) return true;
    bool finished = true;
    if (batch_.rows != nullptr) {
      list_seeds();
      scratch_->entries.push_back(start);
      finished = beam_search(distance, AllowRows{*batch_.rows}, hop, scratch_->entries, beam);
    } else {
      finished = beam_search(distance, AllowAll{}, hop, {&start, 1}, beam);
    }
    keep_nearest(scratch_->allowed.sorted(), batch_.k + 1, *scratch_);
    return finished;
  }

  // The nearest nodes of scratch.pool that are allowed, at most `keep`, into scratch.neighbors.
  void keep_pool(std::size_t keep) {
    const CandidatePool& pool = scratch_->pool;
    std::vector<Neighbor>& found = scratch_->neighbors;
    for (std::size_t i = 0; i < pool.size() && found.size() < keep; ++i) {
      if (batch_.rows == nullptr || batch_.rows->contains(pool[i].slot)) found.push_back(pool[i]);
    }
  }

  Hnsw& graph_;
  const VectorView& view_;
  const QueryBatch& batch_;
  HnswSearch how_;
  const Answers& answers_;
  std::span<const Slot> seeds_;  // of the query being answered
  ScratchPool::Handle scratch_;
  CodeStore::Snapshot codes_;
  std::shared_ptr<const PackedCodes> packed_;  // null where this search does not use them
  SearchStats stats_;
};

SearchStats Hnsw::search(const VectorView& view, const QueryBatch& batch, const HnswSearch& how,
                         const Answers& answers) {
  check_view(view);
  VDB_CHECK(batch.rows == nullptr || batch.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(batch.rows != nullptr || how.seeds.per_query == 0,
            "seeds need the row set they are taken from: pass allowed");
  VDB_CHECK(how.arm != Arm::kAcorn || params_.gamma != 0,
            "arm 'acorn' searches a graph that was built with gamma, this one was not: take arm 'plain'");
  const HnswSearch sane = within_reason(how, batch.k, std::min(covered(), view.n));
  return answer_in_turns(batch, [&] { return HnswSearcher(*this, view, batch, sane, answers); });
}

}  // namespace vdb
