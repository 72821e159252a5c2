#include <algorithm>
#include <mutex>
#include <span>
#include <variant>

#include "base/check.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "core/rerank.h"
#include "index/graph/adaptive_hop.h"
#include "index/graph/code_distance.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/filtered_search.h"
#include "index/graph/packed_hop.h"
#include "index/graph/search.h"
#include "index/graph/two_hop.h"
#include "index/hnsw/descend.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// Queries per turn of a thread.
constexpr std::size_t kQueriesPerChunk = 8;
// Packed neighbours serve where at least one slot in this many is allowed: each node on the way is measured.
constexpr std::size_t kPackedShare = 2;
// Nodes that an adaptive walk may go through though they are not allowed, for each candidate it keeps.
constexpr std::size_t kBridgesPerCandidate = 4;

}  // namespace

// The queries of one turn of a thread.
class HnswSearcher {
 public:
  HnswSearcher(Hnsw& graph, const VectorView& view, const QueryBatch& batch, const HnswSearch& how)
      : graph_(graph), view_(view), batch_(batch), how_(how), scratch_(graph.scratches_.take()) {
    if (graph.codes_) codes_ = graph.codes_->snapshot();
    if (codes_.codec) how_.limit = std::min(how_.limit, codes_.covered);
    const bool narrow = batch.rows != nullptr && batch.rows->count() * kPackedShare < how.limit;
    if (narrow || (batch.rows != nullptr && how.arm != Arm::kPlain)) return;
    packed_ = graph.packed(how_.limit);
  }

  void answer(std::size_t q, const Answers& answers) {
    seeds_ = {how_.seeds.slots + q * how_.seeds.per_query, how_.seeds.per_query};
    const std::byte* const query = batch_.queries + q * view_.row_bytes();
    with_distance(view_, query, [&]<class Distance>(const Distance& distance) {
      bool finished = packed_        ? find_by_blocks(distance, query)
                      : codes_.codec ? find_by_codes(distance, query)
                                     : find(distance, batch_.k + 1, stats_);
      const std::span<const Neighbor> found = scratch_->neighbors;
      finished = finished && found.size() >= batch_.k;
      write_answer<Distance>(found, batch_, q, answers, stats_);
      // No row was seen beyond the answer, though there are some: one may be as near as its last.
      const std::size_t candidates = batch_.rows != nullptr ? batch_.rows->count() : view_.n;
      if (found.size() == batch_.k && candidates > batch_.k) stats_.cut.push_back(static_cast<std::uint32_t>(q));
      if (!finished) stats_.unfinished.push_back(static_cast<std::uint32_t>(q));
    });
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
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
        keep_allowed(keep);
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
    keep_allowed(batch_.k + 1);
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

  // The nearest of scratch.allowed, at most `keep`, into scratch.neighbors.
  void keep_allowed(std::size_t keep) {
    const std::span<const Neighbor> allowed = scratch_->allowed.sorted();
    const auto n = static_cast<std::ptrdiff_t>(std::min(keep, allowed.size()));
    scratch_->neighbors.assign(allowed.begin(), allowed.begin() + n);
  }

  // Walks by codes, then measures what it found on the vectors, the most promising first, until none left can be among
  // the nearest.
  template <class Distance>
  bool find_by_codes(const Distance& distance, const std::byte* query) {
    SearchStats walked;
    const bool finished = scratch_->code_query.with_distance(codes_, in_code_space(query), [&](const auto& by_code) {
      const bool whole = find(by_code, how_.ef, walked);
      const std::size_t surely = std::min(scratch_->neighbors.size(), batch_.k);
      for (std::size_t i = 0; i < surely; ++i) distance.prefetch_row(scratch_->neighbors[i].slot);
      list_lower_bounds(by_code);
      return whole;
    });
    stats_.estimates += walked.distances;
    stats_.hops += walked.hops;
    stats_.tests += walked.tests;
    std::vector<Neighbor>& candidates = scratch_->neighbors;
    TopK& nearest = scratch_->allowed;
    nearest.reset(batch_.k + 1);
    stats_.distances += rerank(distance, candidates, nearest, batch_.cancel);
    keep_allowed(batch_.k + 1);
    return finished;
  }

  // Replaces the distances of scratch.neighbors by what they are at least, and sorts by that.
  template <class CodeDistance>
  void list_lower_bounds(const CodeDistance& distance) {
    std::vector<Neighbor>& found = scratch_->neighbors;
    scratch_->row.clear();
    for (const Neighbor& neighbor : found) scratch_->row.push_back(neighbor.slot);
    scratch_->estimates.resize(found.size());
    distance.estimate(scratch_->row, scratch_->estimates.data());
    const float offset = view_.metric == Metric::kCosine ? 1.0F : 0.0F;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const Estimate& estimate = scratch_->estimates[i];
      const float lower = offset + estimate.distance - estimate.error;
      found[i].distance = lower == lower ? lower : -std::numeric_limits<float>::infinity();
    }
    std::sort(found.begin(), found.end());
  }

  const float* in_code_space(const std::byte* query) {
    VectorView one = view_;
    one.data = query;
    one.n = 1;
    const float inverse = view_.metric == Metric::kCosine ? inverse_norm(query, view_.dim, view_.dtype) : 1.0F;
    scratch_->prepared.resize(view_.dim);
    to_code_space(one, 0, inverse, scratch_->prepared.data());
    return scratch_->prepared.data();
  }

  Hnsw& graph_;
  const VectorView& view_;
  const QueryBatch& batch_;
  HnswSearch how_;
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
  HnswSearch sane = how;
  sane.limit = std::min({how.limit, covered(), view.n});
  const std::size_t most = std::max<std::size_t>(sane.limit, 1);
  sane.ef = std::min(std::max(how.ef, batch.k + 1), most);
  sane.pool = std::min(std::max(how.pool, sane.ef), most);

  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerChunk, batch.threads}, [&](const Chunk& chunk) {
    HnswSearcher searcher(*this, view, batch, sane);
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
