#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <span>

#include "base/check.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "codec/code_store.h"
#include "core/distance.h"
#include "core/rerank.h"
#include "core/top_k.h"
#include "index/ivf/ivf.h"

namespace vdb {
namespace {

// Queries per turn of a thread.
constexpr std::size_t kQueriesPerChunk = 16;
// Half-widths of intervals. Of a row's code, in standard deviations; the upper end as a share of the lower: who reads
// more lists wants more of the answer, and must not lose it to codes. Of all bits of a code, as shares of what the
// codec says, which is 1.9 standard deviations.
constexpr float kLeastDeviations = 1.6F;
constexpr float kMoreDeviations = 0.8F;  // at one list in kManyLists, in proportion below
constexpr std::size_t kManyLists = 4;
constexpr float kUpperShare = 0.4F;
constexpr float kFullLowerShare = 1.0F;
constexpr float kFullUpperShare = 0.35F;
// Allowed rows that are read at least, for each that is wanted: as many as an unfiltered search reads in a few lists.
constexpr std::size_t kReadPerWanted = 4;
// Lines of the next list to ask for while one is read.
constexpr std::size_t kAskedLines = 16;

constexpr std::size_t kRows = ListShape::kRows;
using Mask = std::uint32_t;
static_assert(kRows == 32, "a mask has a bit for each row of a block");

float deviations(std::size_t nprobe, std::size_t lists) noexcept {
  const float share = static_cast<float>(kManyLists * nprobe) / static_cast<float>(lists);
  return kLeastDeviations + kMoreDeviations * std::min(share, 1.0F);
}

// Which rows of a block may be found.
struct Passing {
  const RowSet* rows;  // null: all
  std::size_t limit;   // slots below it

  bool all() const noexcept { return rows == nullptr && limit == std::numeric_limits<std::size_t>::max(); }
  bool contains(Slot slot) const noexcept { return slot < limit && (rows == nullptr || rows->contains(slot)); }
  // Without a branch: bits of a filter follow no pattern. A place without a row has no slot below the limit.
  Mask of(const Slot* slots) const noexcept {
    Mask mask = 0;
    for (std::size_t i = 0; i < kRows; ++i) {
      const Mask below = slots[i] < limit ? 1U : 0U;
      const Slot slot = below != 0 ? slots[i] : 0;
      mask |= (below & (rows == nullptr ? 1U : static_cast<Mask>(rows->contains(slot)))) << i;
    }
    return mask;
  }
};

// What bounds leave in doubt, or the most promising of a number.
class Candidates {
 public:
  Candidates(std::size_t wanted, std::size_t pool) : wanted_(wanted), pool_(pool) {}

  void reset() {
    bounded_.reset(wanted_);
    best_.reset(pool_);
  }
  bool bounded() const noexcept { return pool_ == 0; }
  float threshold() const noexcept { return bounded() ? bounded_.threshold() : best_.threshold(); }
  void offer(Slot slot, float lower, float upper) {
    if (bounded()) {
      bounded_.offer(slot, lower, upper);
    } else {
      best_.push({lower, slot});
    }
  }
  std::span<const Neighbor> sorted() { return bounded() ? bounded_.sorted() : best_.sorted(); }

 private:
  std::size_t wanted_;
  std::size_t pool_;
  BoundedCandidates bounded_;
  TopK best_;
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
  ListSearcher(const Job& job, const Codec& codec)
      : job_(job),
        shape_(job.state.model->shape),
        offset_(job.view.metric == Metric::kCosine ? 1.0F : 0.0F),
        deviations_(deviations(job.how.nprobe, job.state.lists.size())),
        query_(codec),
        ranking_(job.state.directory->codec()),
        finder_(*job.state.directory),
        candidates_(job.wanted, job.how.pool),
        prepared_(job.view.dim),
        done_(job.state.lists.size()) {}

  template <class Distance>
  void answer(const Distance& distance, std::size_t q, const Answers& answers) {
    nearest_.reset(job_.wanted);
    candidates_.reset();
    read_ = 0;
    prepare(q);
    const bool known = std::all_of(prepared_.begin(), prepared_.end(), [](float x) { return std::isfinite(x); });
    if (known) {
      read_lists();
      measure(distance);
    }
    // Where values overflow float32, codes say nothing.
    if (nearest_.size() < job_.wanted && (!known || nearest_.size() < read_)) measure_all(distance);
    const auto found = nearest_.sorted();
    write_answer<Distance>(found, job_.batch, q, answers, stats_);
    if (found.size() < job_.batch.k) stats_.unfinished.push_back(static_cast<std::uint32_t>(q));
  }

  const SearchStats& stats() const noexcept { return stats_; }

 private:
  const List& list(std::size_t i) const noexcept { return *job_.state.lists[i]; }

  void prepare(std::size_t q) {
    const VectorView& view = job_.view;
    VectorView queries = view;
    queries.data = job_.batch.queries;
    queries.n = job_.batch.nq;
    const Slot query = static_cast<Slot>(q);
    const bool cosine = view.metric == Metric::kCosine;
    const float inverse = cosine ? inverse_norm(queries.row(query), view.dim, view.dtype) : 1.0F;
    to_code_space(queries, query, inverse, prepared_.data());
  }

  // Lists by distance, until those that held a row that passes are nprobe and their rows enough, or there are no more.
  void read_lists() {
    query_.bind(prepared_.data());
    if constexpr (!kRanks) ranking_.bind(prepared_.data());
    std::fill(done_.begin(), done_.end(), std::uint8_t{0});
    const std::size_t enough = job_.passing.all() ? job_.wanted : kReadPerWanted * job_.wanted;
    std::size_t probed = 0;
    for (std::size_t ranked = job_.how.nprobe;; ranked *= 4) {
      const auto lists = finder_.nearest(prepared_.data(), ranking(), ranked);
      for (std::size_t i = 0; i < lists.size(); ++i) {
        if (probed >= job_.how.nprobe && read_ >= enough) return;
        if (done_[lists[i].list] != 0) continue;
        done_[lists[i].list] = 1;
        if (i + 1 < lists.size()) prefetch_lines(list(lists[i + 1].list).blocks.data(), kAskedLines);
        probed += read_list(lists[i]) ? 1U : 0U;
      }
      if (lists.size() == done_.size()) return;
    }
  }

  // False where no row of it passes.
  bool read_list(const RankedList& ranked) {
    const List& rows = list(ranked.list);
    const std::size_t blocks = ListShape::blocks(rows.rows);
    // A pool takes rows by their estimates, but signs only say which of them to read whole.
    query_.enter(ranked.terms, candidates_.bounded() || query_.refines() ? deviations_ : 0.0F);
    std::size_t passed = 0;
    for (std::size_t b = 0; b < blocks; ++b) {
      const Mask mask = job_.passing.all() ? ~Mask{0} : job_.passing.of(rows.slots(shape_, b));
      if (mask == 0) continue;
      passed +=
          job_.passing.all() ? std::min(kRows, rows.rows - b * kRows) : static_cast<std::size_t>(std::popcount(mask));
      read_block(rows, b, mask);
    }
    read_ += passed;
    stats_.estimates += passed;
    stats_.lists += passed != 0 ? 1U : 0U;
    return passed != 0;
  }

  void read_block(const List& rows, std::size_t b, Mask mask) {
    alignas(kCacheLineBytes) float bounds[kRows];
    const ListBlock block = rows.codes(shape_, b);
    Mask nearer = query_.estimate(block, candidates_.threshold() - offset_, bounds) & mask;
    if (nearer == 0) return;
    const Slot* const slots = rows.slots(shape_, b);
    for (; nearer != 0; nearer &= nearer - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(nearer));
      const float lower = offset_ + bounds[i];
      if (query_.refines()) {
        if (lower < candidates_.threshold()) refine(rows, b, i);
      } else {
        const float margin = query_.margin(block.factors[kRows + i]);
        offer(slots[i], lower, lower + (1 + kUpperShare) * margin);
      }
    }
  }

  void refine(const List& rows, std::size_t b, std::size_t i) {
    if constexpr (requires { query_.refine(nullptr, i, nullptr); }) {
      const Estimate estimate = query_.refine(rows.block(shape_, b), i, rows.extra_of(shape_, b * kRows + i));
      const float distance = offset_ + estimate.distance;
      const float error = candidates_.bounded() ? estimate.error : 0.0F;
      offer(rows.slots(shape_, b)[i], distance - kFullLowerShare * error, distance + kFullUpperShare * error);
      ++stats_.refined;
    }
  }

  // A row of which nothing is known may be anywhere.
  void offer(Slot slot, float lower, float upper) {
    const bool known = lower > unknown_row().add / 2;
    candidates_.offer(slot, lower, known ? upper : std::numeric_limits<float>::infinity());
  }

  template <class Distance>
  void measure(const Distance& distance) {
    const auto found = candidates_.sorted();
    if (candidates_.bounded()) {
      stats_.distances += rerank(distance, found, nearest_, job_.batch.cancel);
      return;
    }
    slots_.clear();
    for (const Neighbor& candidate : found) slots_.push_back(candidate.slot);
    for_each_distance(distance, slots_, [&](Slot slot, float value) { nearest_.push({value, slot}); });
    stats_.distances += slots_.size();
  }

  // Every row that passes, by its vector.
  template <class Distance>
  void measure_all(const Distance& distance) {
    nearest_.reset(job_.wanted);
    for (std::size_t i = 0; i < done_.size(); ++i) {
      slots_.clear();
      for (std::size_t row = 0; row < list(i).rows; ++row) {
        const Slot slot = list(i).slot(shape_, row);
        if (job_.passing.contains(slot)) slots_.push_back(slot);
      }
      for_each_distance(distance, slots_, [&](Slot slot, float value) { nearest_.push({value, slot}); });
      stats_.distances += slots_.size();
    }
  }

  // The codec of the rows serves the ranking of lists too, where it has the same rotation.
  static constexpr bool kRanks = std::is_same_v<Codec, ResidualSigns>;
  ResidualSigns::Query& ranking() noexcept {
    if constexpr (kRanks) {
      return query_;
    } else {
      return ranking_;
    }
  }

  const Job& job_;
  const ListShape shape_;
  const float offset_;  // of distances to those of codes
  const float deviations_;
  typename Codec::Query query_;
  ResidualSigns::Query ranking_;
  Directory::Finder finder_;
  Candidates candidates_;
  TopK nearest_;
  std::vector<float> prepared_;     // the query in code space
  std::vector<std::uint8_t> done_;  // by list
  std::vector<Slot> slots_;
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
  Job job{*now,  view, batch, how, {batch.rows, whole && !batch.rows ? std::numeric_limits<std::size_t>::max() : limit},
          wanted};
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
    } else if (const auto* signs = std::get_if<ResidualSigns>(&now->model->codec)) {
      ListSearcher<ResidualSigns> searcher(job, *signs);
      run(searcher);
    } else {
      ListSearcher<ResidualProduct> searcher(job, std::get<ResidualProduct>(now->model->codec));
      run(searcher);
    }
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

}  // namespace vdb
