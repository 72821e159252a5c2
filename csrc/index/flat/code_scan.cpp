#include "index/flat/code_scan.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/prefetch.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "core/rerank.h"
#include "core/top_k.h"
#include "index/flat/query_group.h"
#include "index/flat/scan.h"
#include "index/flat/sign_scan.h"
#include "index/flat/tiles.h"

namespace vdb {
namespace {

// Queries that share the reading of a record, and the unit of work of a thread.
constexpr std::size_t kMaxQueriesPerGroup = 64;
// Slots read together; their density decides between reading all records and gathering some.
constexpr std::size_t kTogether = 1024;
// Where more than one slot in this many is allowed, the others are read too: reading on costs less than jumping.
constexpr std::size_t kGatherBelow = 4;
// Records asked for ahead of a gather.
constexpr std::size_t kGatherAhead = 16;
constexpr std::size_t kWidth = 4;  // of a gathered step
// Up to so many rows are measured at once: binding a query to signs and all bits costs as much.
constexpr std::size_t kFewRows = 32;

// One group of queries over the records of [range.begin, range.end).
template <class Codec>
class CodeScan {
 public:
  CodeScan(const CodeStore::Snapshot& codes, QueryGroup<Codec>& group, const QueryBatch& batch, float offset)
      : codes_(codes), group_(group), batch_(batch), offset_(offset), candidates_(group.size()) {
    for (auto& candidates : candidates_) candidates.reset(batch.k + 1);
  }

  void run(const Tile& range) {
    if (batch_.rows == nullptr) {
      for (std::size_t begin = range.begin; begin < range.end; begin += kTogether) {
        if (batch_.cancel->poll()) throw Cancelled();
        read_through({begin, std::min(begin + kTogether, range.end)});
      }
      return;
    }
    SlotBlocks blocks(batch_.rows, range);
    for (auto slots = blocks.next(kTogether); !slots.empty(); slots = blocks.next(kTogether)) {
      if (batch_.cancel->poll()) throw Cancelled();
      const Tile around{slots.front(), std::size_t{slots.back()} + 1};
      if (slots.size() * kGatherBelow > around.end - around.begin) {
        read_through(around);
      } else {
        gather(slots);
      }
    }
  }

  // The same for a list of slots, in any order.
  void read(std::span<const Slot> slots) {
    for (; !slots.empty(); slots = slots.subspan(std::min(kTogether, slots.size()))) {
      if (batch_.cancel->poll()) throw Cancelled();
      gather(slots.first(std::min(kTogether, slots.size())));
    }
  }

  std::uint64_t estimated() const noexcept { return estimated_; }
  std::uint64_t refined() const noexcept { return 0; }
  BoundedCandidates& candidates(std::size_t q) { return candidates_[q]; }

 private:
  // Whether an estimate can be abandoned as soon as it is beyond the threshold.
  static constexpr bool kAbandons = requires(const typename Codec::Query& query, Estimate& estimate,
                                             std::size_t& dims) { query.within(nullptr, 0.0F, estimate, dims); };

  void read_through(const Tile& tile) {
    if constexpr (kAbandons) {
      if (group_.size() == 1) {
        for (std::size_t i = tile.begin; i < tile.end; ++i) {
          const Slot slot = static_cast<Slot>(i);
          if (batch_.rows == nullptr || batch_.rows->contains(slot)) offer_within(0, slot);
        }
        estimated_ += tile.end - tile.begin;
        return;
      }
    }
    for (std::size_t begin = tile.begin; begin < tile.end; begin += kBlockRecords) {
      const std::size_t end = std::min(begin + kBlockRecords, tile.end);
      const Estimate* estimates = group_.block(codes_.rows(begin, end));
      for (std::size_t q = 0; q < group_.size(); ++q, estimates += end - begin) offer_block(q, begin, end, estimates);
      estimated_ += (end - begin) * group_.size();
    }
  }

  void offer_block(std::size_t q, std::size_t begin, std::size_t end, const Estimate* estimates) {
    BoundedCandidates& candidates = candidates_[q];
    for (std::size_t i = begin; i < end; ++i) {
      const Estimate& estimate = estimates[i - begin];
      if (offset_ + estimate.distance - estimate.error > candidates.threshold()) continue;
      const Slot slot = static_cast<Slot>(i);
      if (batch_.rows == nullptr || batch_.rows->contains(slot)) offer(candidates, slot, estimate);
    }
  }

  // Reads as much of a record as shows that its row is out, or all of it.
  void offer_within(std::size_t q, Slot slot) {
    BoundedCandidates& candidates = candidates_[q];
    Estimate estimate;
    std::size_t dims_read = 0;
    if (group_[q].within(codes_.record(slot), candidates.threshold() - offset_, estimate, dims_read)) {
      offer(candidates, slot, estimate);
    }
  }

  void gather(std::span<const Slot> slots) {
    const std::size_t n = slots.size();
    for (std::size_t i = 0; i < std::min(n, kGatherAhead); ++i) prefetch_record(slots[i]);
    for (std::size_t i = 0; i < n; i += kWidth) {
      for (std::size_t j = i + kGatherAhead; j < std::min(n, i + kGatherAhead + kWidth); ++j) prefetch_record(slots[j]);
      if constexpr (kAbandons) {
        for (std::size_t j = i; j < std::min(n, i + kWidth); ++j) {
          for (std::size_t q = 0; q < group_.size(); ++q) offer_within(q, slots[j]);
        }
        continue;
      }
      std::array<const std::uint8_t*, kWidth> records;
      for (std::size_t j = 0; j < kWidth; ++j) records[j] = codes_.record(slots[std::min(i + j, n - 1)]);
      for (std::size_t q = 0; q < group_.size(); ++q) {
        std::array<Estimate, kWidth> estimates;
        group_[q].estimate_x4(records.data(), estimates.data());
        for (std::size_t j = 0; j < std::min(kWidth, n - i); ++j) offer(candidates_[q], slots[i + j], estimates[j]);
      }
    }
    estimated_ += n * group_.size();
  }

  void prefetch_record(Slot slot) const noexcept { prefetch_lines(codes_.record(slot), lines_of(codes_.stride)); }

  void offer(BoundedCandidates& candidates, Slot slot, const Estimate& estimate) {
    const float distance = offset_ + estimate.distance;
    candidates.offer(slot, distance - estimate.error, distance + estimate.error);
  }

  const CodeStore::Snapshot& codes_;
  QueryGroup<Codec>& group_;
  const QueryBatch& batch_;
  const float offset_;
  std::vector<BoundedCandidates> candidates_;
  std::uint64_t estimated_ = 0;
};

// What every group of queries shares.
struct Job {
  const CodeStore::Snapshot& codes;
  const VectorView& view;
  const QueryBatch& batch;
  Tile range;
  const SlotLists* lists;  // in place of the range; null where that is scanned
  const Answers& answers;
};

template <class Codec>
using ScanOf = std::conditional_t<std::is_same_v<Codec, Rabitq>, SignScan, CodeScan<Codec>>;

template <class Distance>
std::size_t measure(const Distance& distance, std::span<const Slot> slots, TopK& nearest) {
  for_each_distance(distance, slots, [&](Slot slot, float value) { nearest.push({value, slot}); });
  return slots.size();
}

// The rows of the range, or of the list of the one query of the group: by vector those that have no code.
template <class Scan, class Distance>
std::size_t read_rows(const Job& job, std::size_t query, Scan& scan, std::span<const Distance> distances,
                      std::span<TopK> nearest) {
  const auto& [codes, view, batch, range, lists, answers] = job;
  if (lists == nullptr) {
    const std::size_t covered = std::clamp(codes.covered, range.begin, range.end);
    scan.run({range.begin, covered});
    return scan_vectors<Distance>(view, batch, {covered, range.end}, distances, nearest);
  }
  std::vector<Slot> slots(lists->of(query).begin(), lists->of(query).end());
  const auto uncovered = std::partition(slots.begin(), slots.end(), [&](Slot slot) { return slot < codes.covered; });
  scan.read({slots.begin(), uncovered});
  return measure<Distance>(distances[0], {uncovered, slots.end()}, nearest[0]);
}

// Queries [chunk.begin, chunk.end) of the job.
template <class Codec, class Distance>
SearchStats scan_group(const Codec& codec, const Job& job, const Chunk& chunk) {
  const auto& [codes, view, batch, range, lists, answers] = job;
  VectorView queries = view;
  queries.data = batch.queries + chunk.begin * view.row_bytes();
  queries.n = chunk.end - chunk.begin;
  QueryGroup<Codec> group(codec, queries);
  std::vector<Distance> distances;
  std::vector<TopK> nearest(group.size());
  for (std::size_t q = 0; q < group.size(); ++q) {
    distances.emplace_back(view, queries.row(static_cast<Slot>(q)));
    nearest[q].reset(std::min(batch.k, view.n) + 1);
  }
  ScanOf<Codec> scan(codes, group, batch, view.metric == Metric::kCosine ? 1.0F : 0.0F);
  SearchStats stats;
  stats.distances = read_rows<ScanOf<Codec>, Distance>(job, chunk.begin, scan, distances, nearest);
  stats.estimates = scan.estimated();
  stats.refined = scan.refined();
  for (std::size_t q = 0; q < group.size(); ++q) {
    stats.distances += rerank(distances[q], scan.candidates(q).sorted(), nearest[q], batch.cancel);
    write_answer<Distance>(nearest[q].sorted(), batch, chunk.begin + q, answers, stats);
  }
  return stats;
}

// Without codes.
SearchStats measure_lists(const VectorView& view, const QueryBatch& batch, const SlotLists& lists,
                          const Answers& answers) {
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, 1, batch.threads}, [&](const Chunk& chunk) {
    SearchStats stats;
    with_distance(view, batch.queries + chunk.begin * view.row_bytes(), [&]<class Distance>(const Distance& distance) {
      if (batch.cancel->poll()) throw Cancelled();
      TopK nearest;
      nearest.reset(std::min(batch.k, view.n) + 1);
      stats.distances = measure(distance, lists.of(chunk.begin), nearest);
      write_answer<Distance>(nearest.sorted(), batch, chunk.begin, answers, stats);
    });
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

SearchStats run(const Job& job) {
  const auto& [codes, view, batch, range, lists, answers] = job;
  const std::size_t dim = std::visit([](const auto& codec) { return codec.dim(); }, *codes.codec);
  VDB_CHECK(view.dim == dim && view.metric == codes.metric,
            "the codes are of vectors of " + std::to_string(dim) + " dimensions under " +
                std::string(name_of(codes.metric)) + ", these have " + std::to_string(view.dim) + " under " +
                std::string(name_of(view.metric)));
  const std::size_t threads = resolve_threads(batch.threads);
  const std::size_t most = lists == nullptr ? kMaxQueriesPerGroup : 1;
  const std::size_t group = std::clamp((batch.nq + threads - 1) / threads, std::size_t{1}, most);
  SearchStats total;
  std::mutex total_mutex;
  parallel_for({batch.nq, group, batch.threads}, [&](const Chunk& chunk) {
    const SearchStats stats = with_distance(view, batch.queries, [&]<class Distance>(const Distance&) {
      return std::visit(
          [&](const auto& codec) { return scan_group<std::decay_t<decltype(codec)>, Distance>(codec, job, chunk); },
          *codes.codec);
    });
    const std::lock_guard lock(total_mutex);
    total += stats;
  });
  total.sort();
  return total;
}

}  // namespace

SearchStats scan_codes(const CodeStore::Snapshot& codes, const VectorView& view, const QueryBatch& batch,
                       std::size_t begin, const Answers& answers) {
  VDB_CHECK(
      batch.rows == nullptr || batch.rows->size() == view.n,
      "the row set covers " + std::to_string(batch.rows->size()) + " slots, the vectors " + std::to_string(view.n));
  const Tile range{std::min(begin, view.n), view.n};
  const std::size_t rows = batch.rows == nullptr ? range.end - range.begin : batch.rows->count();
  if (codes.codec == nullptr || (rows <= kFewRows && std::holds_alternative<Rabitq>(*codes.codec))) {
    return scan(view, batch, begin, answers);
  }
  return run({codes, view, batch, range, nullptr, answers});
}

SearchStats scan_lists(const CodeStore::Snapshot& codes, const VectorView& view, const QueryBatch& batch,
                       const SlotLists& lists, const Answers& answers) {
  for (std::size_t q = 0; q < batch.nq; ++q) {
    for (const Slot slot : lists.of(q)) {
      VDB_CHECK(slot < view.n, "slot " + std::to_string(slot) + " of a list is not below the " +
                                   std::to_string(view.n) + " of the vectors");
    }
  }
  if (codes.codec == nullptr) return measure_lists(view, batch, lists, answers);
  return run({codes, view, batch, {0, view.n}, &lists, answers});
}

}  // namespace vdb
