#include <algorithm>
#include <span>

#include "base/check.h"
#include "core/distance.h"
#include "index/graph/answer.h"
#include "index/graph/code_distance.h"
#include "index/graph/filter.h"
#include "index/graph/finish.h"
#include "index/graph/search.h"
#include "index/range/hop.h"
#include "index/range/range.h"
#include "index/range/seeds.h"

namespace vdb {
namespace {

// Entry points of a walk.
constexpr std::size_t kSeeds = 16;
// A range of so few rows is measured row by row: it is no wider than the narrowest window, and a walk would see most.
constexpr std::size_t kListed = 2 * kNarrowest;
// Where at least one row of the range in this many is allowed, a walk keeps to the allowed ones: with the layers below
// to fill up from, their neighbours are still enough. Where fewer are, it goes through all and keeps those.
constexpr std::size_t kAllowedShare = 4;

// What all queries of one call share.
struct Call {
  RangeLayers& layers;
  const RowSet* rows;  // null: every row of the range
  RangeSearch how;
  std::size_t first;   // layer that fits the range
  std::size_t within;  // rows of the range that may be found, at most
  bool keeps_to_rows;
  bool lists;                 // so few that they are measured one by one
  std::vector<Slot> slots;    // these, or the entry points
  CodeStore::Snapshot codes;  // without a codec where walks read the vectors

  InKeys keys() const noexcept { return {layers, how.low, how.high}; }
};

bool allows(const Call& call, Slot slot) noexcept {
  return slot < call.how.limit && (call.rows == nullptr || call.rows->contains(slot));
}

// A few rows are listed, of more only the entry points.
void list_slots(const Order& order, const Ranks& ranks, Call& call) {
  if (!call.lists) {
    const auto enters = [&](Slot slot) { return call.keeps_to_rows ? allows(call, slot) : slot < call.how.limit; };
    return spread_seeds(order, ranks, kSeeds, enters, call.slots);
  }
  order.for_each(ranks, [&](const Ranked& row) {
    if (allows(call, row.slot) && call.keys()(row.slot)) call.slots.push_back(row.slot);
    return true;
  });
  std::sort(call.slots.begin(), call.slots.end());  // a row that moved to and fro may stand there twice
  call.slots.erase(std::unique(call.slots.begin(), call.slots.end()), call.slots.end());
}

}  // namespace

// The queries of one turn of a thread.
class RangeSearcher {
 public:
  RangeSearcher(RangeGraph& graph, const VectorView& view, const QueryBatch& batch, const Call& call,
                const Answers& answers)
      : view_(view), batch_(batch), call_(call), answers_(answers), scratch_(graph.scratches_.take()) {}

  void answer(std::size_t q) {
    const std::byte* const query = batch_.queries + q * view_.row_bytes();
    with_distance(view_, query, [&]<class Distance>(const Distance& distance) {
      const bool finished = find_nearest(distance, query);
      write_outcome<Distance>({scratch_->neighbors, finished, call_.within}, batch_, q, answers_, stats_);
    });
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
  // The nearest k rows and one into scratch.neighbors; false where the budget ended it.
  template <class Distance>
  bool find_nearest(const Distance& distance, const std::byte* query) {
    if (call_.lists) {
      measure_all(distance);
      return true;
    }
    if (!call_.codes.codec) return find(distance, batch_.k + 1, stats_);
    return find_by_codes(distance, query, {view_, batch_, call_.codes, *scratch_, stats_},
                         [&](const auto& by_code, SearchStats& walked) { return find(by_code, call_.how.ef, walked); });
  }

  template <class Distance>
  void measure_all(const Distance& distance) {
    TopK& nearest = scratch_->allowed;
    nearest.reset(batch_.k + 1);
    for_each_distance(distance, call_.slots, [&](Slot slot, float d) { nearest.push({d, slot}); });
    stats_.distances += call_.slots.size();
    keep_nearest(nearest.sorted(), batch_.k + 1, *scratch_);
  }

  // The nearest nodes that may be found, at most `most`, into scratch.neighbors; false where the budget ended it.
  template <class Distance>
  bool find(const Distance& distance, std::size_t most, SearchStats& stats) {
    const RangeSearch& how = call_.how;
    const Beam beam{{how.ef, how.pool, view_.n, how.budget, batch_.cancel}, *scratch_, stats};
    if (call_.rows != nullptr && !call_.keeps_to_rows) {
      const bool finished = walk(distance, AllowRows{*call_.rows}, call_.keys(), beam);
      keep_nearest(scratch_->allowed.sorted(), most, *scratch_);
      return finished;
    }
    const bool finished = call_.keeps_to_rows ? walk(distance, AllowAll{}, InRows{*call_.rows}, beam)
                                              : walk(distance, AllowAll{}, call_.keys(), beam);
    std::vector<Neighbor>& found = scratch_->neighbors;
    found.clear();
    const std::size_t n = std::min(most, scratch_->pool.size());
    for (std::size_t i = 0; i < n; ++i) found.push_back(scratch_->pool[i]);
    return finished;
  }

  template <class Distance, class Filter, class Inside>
  bool walk(const Distance& distance, const Filter& filter, const Inside& inside, const Beam& beam) {
    return beam_search(distance, filter, RangeHop<Inside>{call_.layers, inside, call_.first, call_.how.limit},
                       call_.slots, beam);
  }

  const VectorView& view_;
  const QueryBatch& batch_;
  const Call& call_;
  const Answers& answers_;
  ScratchPool::Handle scratch_;
  SearchStats stats_;
};

SearchStats RangeGraph::search(const VectorView& view, const QueryBatch& batch, const RangeSearch& how,
                               const Answers& answers) {
  check_view(view);
  check_codes(how.codes);
  VDB_CHECK(batch.rows == nullptr || batch.rows->size() == view.n, "the row set does not cover the vectors");
  RangeSearch sane = how;
  sane.limit = std::min({how.limit, covered(), view.n});  // before the arrays, which then have as many
  CodeStore::Snapshot codes;
  if (how.codes != nullptr) codes = how.codes->snapshot();
  if (codes.codec) sane.limit = std::min(sane.limit, codes.covered);

  const std::shared_ptr<RangeLayers> arrays = layers();
  const std::shared_ptr<const Order> sequence = order();
  const Ranks ranks = sane.limit == 0 ? Ranks{0, 0} : sequence->ranks_of(how.low, how.high);
  const std::size_t within = batch.rows == nullptr ? ranks.size() : std::min(ranks.size(), batch.rows->count());
  sane.ef = std::max(how.ef, batch.k + 1);
  const bool lists = ranks.size() <= std::max(sane.ef, kListed);
  const bool keeps = batch.rows != nullptr && batch.rows->count() <= ranks.size() &&
                     batch.rows->count() * kAllowedShare >= ranks.size();
  if (batch.rows != nullptr && !keeps && how.pool == 0 && within > 0) {  // where one node in so many may be kept
    sane.pool = static_cast<std::size_t>(static_cast<double>(sane.ef) * static_cast<double>(ranks.size()) /
                                         static_cast<double>(within));
  }
  sane.pool = std::min(std::max(sane.pool, sane.ef), std::max<std::size_t>(ranks.size(), 1));
  Call call{*arrays, batch.rows, sane, layer_for(ranks.size(), arrays->count()), within, keeps, lists, {}, codes};
  list_slots(*sequence, ranks, call);

  return answer_in_turns(batch, [&] { return RangeSearcher(*this, view, batch, call, answers); });
}

}  // namespace vdb
