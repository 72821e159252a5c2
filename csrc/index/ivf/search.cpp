#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <span>

#include "base/check.h"
#include "base/error.h"
#include "base/half.h"
#include "base/thread_pool.h"
#include "codec/code_store.h"
#include "core/distance.h"
#include "core/rerank.h"
#include "index/ivf/ivf.h"
#include "index/ivf/scratch.h"

namespace vdb {
namespace {

// Queries per turn of a thread.
constexpr std::size_t kQueriesPerChunk = 16;
// Half-widths of intervals. Of a row's code, in standard deviations; the upper end as a share of the lower: who reads
// more lists wants more of the answer, and must not lose it to codes. Of all bits of a code, as shares of what the
// codec says, which is 1.9 standard deviations.
constexpr float kLeastDeviations = 1.9F;
constexpr float kMoreDeviations = 0.8F;  // at one list in kManyLists, in proportion below
constexpr std::size_t kManyLists = 4;
constexpr float kUpperShare = 0.4F;
constexpr float kFullLowerShare = 1.0F;
constexpr float kFullUpperShare = 0.35F;
// Allowed rows that are read at least, for each that is wanted: as many as an unfiltered search reads in a few lists.
constexpr std::size_t kReadPerWanted = 4;
// Lists come from memory, the more of them the larger the index, so what is read is asked for some lines before. Of a
// block and of the slots of a list at most so many lines: the rest of them the processor finds by itself.
constexpr std::size_t kLinesAhead = 80;
constexpr std::size_t kBlockLines = 32;
constexpr std::size_t kSlotLines = 16;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kRows = ListShape::kRows;
using Mask = std::uint32_t;
static_assert(kRows == 32 && kRows == BitsetKernels::kLookedUp, "a mask has a bit for each row of a block");

float deviations(std::size_t nprobe, std::size_t lists) noexcept {
  const float share = static_cast<float>(kManyLists * nprobe) / static_cast<float>(lists);
  return kLeastDeviations + kMoreDeviations * std::min(share, 1.0F);
}

// Which rows of a block may be found.
struct Passing {
  const RowSet* rows;  // null: all
  std::size_t limit;   // slots below it
  BitsetKernels::LookUp look_up;

  bool all() const noexcept { return rows == nullptr && limit == std::numeric_limits<std::size_t>::max(); }
  bool contains(Slot slot) const noexcept { return slot < limit && (rows == nullptr || rows->contains(slot)); }
  // Of the slots of a block. A place without a row has no slot below the limit.
  Mask of(const Slot* slots) const noexcept {
    if (rows != nullptr) return look_up(rows->words().data(), slots, static_cast<std::uint32_t>(limit));
    Mask mask = 0;
    for (std::size_t i = kRows; i-- > 0;) mask = 2 * mask + (slots[i] < limit ? 1U : 0U);
    return mask;
  }
};

// What the searcher of any codec needs.
struct Job {
  const IvfState& state;
  const VectorView& view;
  const QueryBatch& batch;
  IvfSearch how;
  Passing passing;
  std::size_t wanted;  // neighbours to find: one more than the answer takes, to tell whether a tie is cut
};

// The queries of one turn of a thread.
template <class Codec>
class ListSearcher {
 public:
  explicit ListSearcher(const Job& job)
      : job_(job),
        shape_(job.state.model->shape),
        lines_(std::min(lines_of(shape_.block_bytes()), kBlockLines)),
        ahead_(std::max<std::size_t>(kLinesAhead / lines_of(shape_.block_bytes()), 1)),
        few_(job.view.in_order == nullptr ? shape_.block_bytes() / job.view.row_bytes() : 0),
        offset_(job.view.metric == Metric::kCosine ? 1.0F : 0.0F),
        deviations_(deviations(job.how.nprobe, job.state.lists.size())),
        scratch_(job.state.scratches->take<Codec>(job.state)) {}

  template <class Distance>
  void answer(const Distance& distance, std::size_t q, const Answers& answers) {
    scratch_->nearest.reset(job_.wanted);
    scratch_->candidates.reset(job_.wanted, job_.how.pool);
    read_ = 0;
    prepare(q);
    const std::vector<float>& prepared = scratch_->prepared;
    const bool known = std::all_of(prepared.begin(), prepared.end(), [](float x) { return std::isfinite(x); });
    if (known) {
      read_lists();
      measure(distance);
    }
    // Where values overflow float32, codes say nothing.
    if (scratch_->nearest.size() < job_.wanted && (!known || scratch_->nearest.size() < read_)) measure_all(distance);
    const auto found = scratch_->nearest.sorted();
    write_answer<Distance>(found, job_.batch, q, answers, stats_);
    if (found.size() < job_.batch.k) stats_.unfinished.push_back(static_cast<std::uint32_t>(q));
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
  const List& list(std::size_t i) const noexcept { return *job_.state.lists[i]; }

  // Where rows have one length under ip the query gets it too: the order of rows is the same, and codes tell it better.
  void prepare(std::size_t q) {
    const VectorView& view = job_.view;
    VectorView queries = view;
    queries.data = job_.batch.queries;
    queries.n = job_.batch.nq;
    const Slot query = static_cast<Slot>(q);
    const bool cosine = view.metric == Metric::kCosine;
    const float inverse = cosine ? inverse_norm(queries.row(query), view.dim, view.dtype) : 1.0F;
    std::vector<float>& prepared = scratch_->prepared;
    to_code_space(queries, query, inverse, prepared.data());
    unit_ = 1;
    if (const float length = job_.state.model->row_length; length > 0) {
      const auto& product = kernels().distance_f32.inner_product;
      const float own = std::sqrt(product.pair(prepared.data(), prepared.data(), prepared.size()));
      if (!std::isnormal(own)) return;
      unit_ = own / length;
      for (float& value : prepared) value /= unit_;
    }
  }

  // Lists by distance, until those that held a row that passes are nprobe and their rows enough, or there are no more.
  void read_lists() {
    scratch_->query.bind(scratch_->prepared.data());
    if constexpr (!kRanks) scratch_->ranking.bind(scratch_->prepared.data());
    scratch_->found.list = PassingBlocks::kNone;
    scratch_->few.clear();
    std::vector<std::uint8_t>& done = scratch_->done;
    std::fill(done.begin(), done.end(), std::uint8_t{0});
    const std::size_t enough = job_.passing.all() ? job_.wanted : kReadPerWanted * job_.wanted;
    std::size_t probed = 0;
    for (std::size_t ranked = job_.how.nprobe;; ranked *= 4) {
      const auto lists = scratch_->finder.nearest(scratch_->prepared.data(), ranking(), ranked);
      for (std::size_t i = 0; i < lists.size(); ++i) {
        if (probed >= job_.how.nprobe && read_ >= enough) return;
        if (done[lists[i].list] != 0) continue;
        done[lists[i].list] = 1;
        probed += read_list(lists.subspan(i)) ? 1U : 0U;
      }
      if (lists.size() == done.size()) return;
    }
  }

  // The first of those left; false where no row of it passes.
  bool read_list(std::span<const RankedList> left) {
    // A pool takes rows by their estimates, but signs only say which of them to read whole.
    scratch_->query.enter(left[0].terms,
                          scratch_->candidates.bounded() || scratch_->query.refines() ? deviations_ : 0.0F);
    const std::size_t passed = job_.passing.all() ? read_all(left) : read_passing(left);
    read_ += passed;
    stats_.estimates += passed;
    stats_.lists += passed != 0 ? 1U : 0U;
    return passed != 0;
  }

  // The one so many places behind the first, or the last.
  const List& list_of(std::span<const RankedList> left, std::size_t place) const noexcept {
    return list(left[std::min(place, left.size() - 1)].list);
  }

  void ask_for(const List& rows, std::size_t b) const noexcept {
    prefetch_lines(rows.block(shape_, b), lines_);
    prefetch_lines(rows.slots.data() + b * kRows, lines_of(kRows * sizeof(Slot)));
  }

  std::size_t read_all(std::span<const RankedList> left) {
    const List& rows = list_of(left, 0);
    const List& next = list_of(left, 1);
    prefetch_lines(&list_of(left, 2), lines_of(sizeof(List)) + 1);
    const std::size_t blocks = ListShape::blocks(rows.rows);
    for (std::size_t b = 0; b < blocks; ++b) {
      if (b + ahead_ < blocks) {
        ask_for(rows, b + ahead_);
      } else if (b + ahead_ - blocks < ListShape::blocks(next.rows)) {
        ask_for(next, b + ahead_ - blocks);
      }
      read_block(rows, b, ~Mask{0});
    }
    return rows.rows;
  }

  // The rows that pass, of blocks that have one. Those of the next list are found before these are read, so that its
  // first blocks are there when their turn comes.
  std::size_t read_passing(std::span<const RankedList> left) {
    if (scratch_->found.list != left[0].list) find_passing(left[0].list);
    std::swap(scratch_->passing, scratch_->found);
    if (left.size() > 1) find_passing(left[1].list);
    const List& after = list_of(left, 2);
    prefetch_lines(after.slots.data(), std::min(lines_of(after.rows * sizeof(Slot)), kSlotLines));
    prefetch_lines(&list_of(left, 3), lines_of(sizeof(List)) + 1);
    const List& rows = list_of(left, 0);
    const PassingBlocks& passing = scratch_->passing;
    scratch_->few.insert(scratch_->few.end(), passing.few.begin(), passing.few.end());
    const std::vector<PassingBlock>& blocks = passing.blocks;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      if (i + ahead_ < blocks.size()) prefetch_lines(rows.block(shape_, blocks[i + ahead_].block), lines_);
      read_block(rows, blocks[i].block, blocks[i].rows);
    }
    return passing.rows;
  }

  // Where few rows of a block pass their vectors are no more to read than its codes, of which one row takes as many
  // lines as all: they are measured. Not where vectors may have to come from a disk.
  void find_passing(std::uint32_t number) {
    const List& rows = list(number);
    PassingBlocks& found = scratch_->found;
    found.list = number;
    found.rows = 0;
    found.blocks.clear();
    found.few.clear();
    for (std::size_t b = 0; b < ListShape::blocks(rows.rows); ++b) {
      const Mask mask = job_.passing.of(rows.slots.data() + b * kRows);
      if (mask == 0) continue;
      found.rows += static_cast<std::size_t>(std::popcount(mask));
      if (static_cast<std::size_t>(std::popcount(mask)) <= few_) {
        for (Mask left = mask; left != 0; left &= left - 1) {
          const auto i = static_cast<std::size_t>(std::countr_zero(left));
          found.few.push_back({-kInfinity, rows.slots[b * kRows + i]});
        }
        continue;
      }
      found.blocks.push_back({static_cast<std::uint32_t>(b), mask});
      if (found.blocks.size() <= ahead_) prefetch_lines(rows.block(shape_, b), lines_);
    }
  }

  void read_block(const List& rows, std::size_t b, Mask mask) {
    alignas(kCacheLineBytes) float bounds[kRows];
    const auto& query = scratch_->query;
    const ListBlock block = rows.codes(shape_, b);
    Mask nearer = query.estimate(block, scratch_->candidates.threshold() - offset_, bounds) & mask;
    for (; nearer != 0; nearer &= nearer - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(nearer));
      const float lower = offset_ + bounds[i];
      if (query.refines()) {
        if (lower < scratch_->candidates.threshold()) refine(rows, b, i);
      } else {
        const float margin = query.margin(from_bfloat16(block.factors[kRows + i]));
        offer(rows.slots[b * kRows + i], lower, lower + (1 + kUpperShare) * margin);
      }
    }
  }

  void refine(const List& rows, std::size_t b, std::size_t i) {
    if constexpr (requires { scratch_->query.refine(nullptr, i, nullptr); }) {
      const Estimate estimate = scratch_->query.refine(rows.block(shape_, b), i, rows.extra_of(shape_, b * kRows + i));
      const float distance = offset_ + estimate.distance;
      const float error = scratch_->candidates.bounded() ? estimate.error : 0.0F;
      offer(rows.slots[b * kRows + i], distance - kFullLowerShare * error, distance + kFullUpperShare * error);
      ++stats_.refined;
    }
  }

  // A row of which nothing is known may be anywhere.
  void offer(Slot slot, float lower, float upper) {
    const bool known = lower > unknown_row().add / 2;
    scratch_->candidates.offer(slot, lower, known ? upper : kInfinity);
  }

  template <class Distance>
  void measure(const Distance& distance) {
    stats_.distances += rerank(distance, scratch_->few, scratch_->nearest, job_.batch.cancel);
    const auto found = scratch_->candidates.sorted(unit_);
    if (scratch_->candidates.bounded()) {
      stats_.distances += rerank(distance, found, scratch_->nearest, job_.batch.cancel);
      return;
    }
    scratch_->slots.clear();
    for (const Neighbor& candidate : found) scratch_->slots.push_back(candidate.slot);
    for_each_distance(distance, scratch_->slots,
                      [&](Slot slot, float value) { scratch_->nearest.push({value, slot}); });
    stats_.distances += scratch_->slots.size();
  }

  // Every row that passes, by its vector.
  template <class Distance>
  void measure_all(const Distance& distance) {
    scratch_->nearest.reset(job_.wanted);
    for (std::size_t i = 0; i < scratch_->done.size(); ++i) {
      scratch_->slots.clear();
      for (std::size_t row = 0; row < list(i).rows; ++row) {
        const Slot slot = list(i).slots[row];
        if (job_.passing.contains(slot)) scratch_->slots.push_back(slot);
      }
      for_each_distance(distance, scratch_->slots,
                        [&](Slot slot, float value) { scratch_->nearest.push({value, slot}); });
      stats_.distances += scratch_->slots.size();
    }
  }

  // The codec of the rows serves the ranking of lists too, where it has the same rotation.
  static constexpr bool kRanks = std::is_same_v<Codec, ResidualSigns>;
  ResidualSigns::Query& ranking() noexcept {
    if constexpr (kRanks) {
      return scratch_->query;
    } else {
      return scratch_->ranking;
    }
  }

  const Job& job_;
  const ListShape shape_;
  const std::size_t lines_;  // of a block, to ask for
  const std::size_t ahead_;  // of the block that is read, in blocks, is the one that is asked for
  const std::size_t few_;    // passing rows of a block, at most, that are measured rather than estimated
  const float offset_;       // of distances to those of codes
  const float deviations_;
  const typename ListScratches::Pool<Codec>::Handle scratch_;
  float unit_ = 1;        // of distances by codes, in those of the query
  std::size_t read_ = 0;  // rows that pass, of the lists that were read
  SearchStats stats_;
};

}  // namespace

SearchStats Ivf::search(const VectorView& view, const QueryBatch& batch, const IvfSearch& how,
                        const Answers& answers) const {
  check_view(view);
  const auto now = state();
  const std::size_t limit = std::min({how.limit, now->covered, view.n});
  VDB_CHECK(batch.rows == nullptr || batch.rows->size() >= limit,
            "the row set covers " + std::to_string(batch.rows->size()) + " slots, the search " + std::to_string(limit));
  const bool whole = limit == now->covered;
  const std::size_t most = std::max<std::size_t>(now->rows, 1);
  const std::size_t wanted = std::min(batch.k, most) + 1;
  const Passing passing{batch.rows, whole && !batch.rows ? std::numeric_limits<std::size_t>::max() : limit,
                        kernels().bitset.look_up};
  Job job{*now, view, batch, how, passing, wanted};
  job.how.nprobe = std::clamp<std::size_t>(how.nprobe, 1, std::max<std::size_t>(now->lists.size(), 1));
  job.how.pool = how.pool == 0 ? 0 : std::clamp(how.pool, wanted, std::max(wanted, most));
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, kQueriesPerChunk, batch.threads}, [&](const Chunk& chunk) {
    SearchStats stats;
    const auto run = [&](auto& searcher) {
      for (std::size_t q = chunk.begin; q < chunk.end; ++q) {
        if (batch.cancel->poll()) throw Cancelled();
        with_distance(view, batch.queries + q * view.row_bytes(),
                      [&](const auto& distance) { searcher.answer(distance, q, answers); });
      }
      stats = searcher.stats();
    };
    if (!now->model || limit == 0) {
      for (std::size_t q = chunk.begin; q < chunk.end; ++q) {
        write_answer<L2Distance>({}, batch, q, answers, stats);
        stats.unfinished.push_back(static_cast<std::uint32_t>(q));
      }
    } else if (std::holds_alternative<ResidualSigns>(now->model->codec)) {
      ListSearcher<ResidualSigns> searcher(job);
      run(searcher);
    } else {
      ListSearcher<ResidualProduct> searcher(job);
      run(searcher);
    }
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

}  // namespace vdb
