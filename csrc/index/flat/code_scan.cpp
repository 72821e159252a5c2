#include "index/flat/code_scan.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/prefetch.h"
#include "base/thread_pool.h"
#include "core/distance.h"
#include "core/rerank.h"
#include "core/top_k.h"
#include "index/flat/scan.h"
#include "index/flat/tiles.h"

namespace vdb {
namespace {

// Queries that share the reading of a record, and the unit of work of a thread.
constexpr std::size_t kMaxQueriesPerGroup = 64;
// Slots whose density decides between reading all records and gathering some.
constexpr std::size_t kTileSlots = 1024;
// Records of a block: what they give fits the first-level cache.
constexpr std::size_t kBlockRecords = 64;
// A tile with more than one allowed slot in this many is read whole: reading on costs less than jumping.
constexpr std::size_t kGatherBelow = 4;
// Records asked for ahead of a gather.
constexpr std::size_t kGatherAhead = 16;
constexpr std::size_t kWidth = 4;  // of a gathered step

// The bound queries of a group, by the tile form of the codec where it has one.
template <class Codec>
class Group {
 public:
  // `queries` are bound as vectors of the metric of the codes.
  Group(const Codec& codec, const VectorView& queries) {
    std::vector<float> prepared(queries.n * queries.dim);
    const bool cosine = queries.metric == Metric::kCosine;
    for (std::size_t q = 0; q < queries.n; ++q) {
      const Slot query = static_cast<Slot>(q);
      const float inverse = cosine ? inverse_norm(queries.row(query), queries.dim, queries.dtype) : 1.0F;
      to_code_space(queries, query, inverse, prepared.data() + q * queries.dim);
    }
    if constexpr (requires { codec.bind_block(prepared.data(), queries.n); }) {
      queries_ = codec.bind_block(prepared.data(), queries.n);
    } else {
      for (std::size_t q = 0; q < queries.n; ++q) queries_.push_back(codec.bind(prepared.data() + q * queries.dim));
    }
    if constexpr (kHasBatch) {
      static_assert(kBlockRecords <= Codec::Batch::kRows);
      if (queries.n > 1) batch_.emplace(queries_);
    }
    estimates_.resize(queries.n * kBlockRecords);
  }

  // (queries, records.n), valid until the next call.
  const Estimate* block(const CodeRows& records) {
    if constexpr (kHasBatch) {
      if (batch_) {
        batch_->estimate(records, estimates_.data());
        return estimates_.data();
      }
    }
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      queries_[q].estimate_block(records, estimates_.data() + q * records.n);
    }
    return estimates_.data();
  }

  const typename Codec::Query& operator[](std::size_t q) const { return queries_[q]; }
  std::size_t size() const { return queries_.size(); }

 private:
  static constexpr bool kHasBatch = requires { typename Codec::Batch; };
  struct None {};
  template <class C>
  static auto batch_of(int) -> std::optional<typename C::Batch>;
  template <class C>
  static auto batch_of(...) -> None;

  std::vector<typename Codec::Query> queries_;
  decltype(batch_of<Codec>(0)) batch_;
  std::vector<Estimate> estimates_;
};

// One group of queries over the records of [range.begin, range.end).
template <class Codec>
class CodeScan {
 public:
  CodeScan(const CodeStore::Snapshot& codes, Group<Codec>& group, const QueryBatch& batch, float offset)
      : codes_(codes), group_(group), batch_(batch), offset_(offset), candidates_(group.size()) {
    for (auto& candidates : candidates_) candidates.reset(batch.k + 1);
  }

  void run(const Tile& range) {
    for (std::size_t begin = range.begin; begin < range.end; begin += kTileSlots) {
      if (batch_.cancel->poll()) throw Cancelled();
      const Tile tile{begin, std::min(begin + kTileSlots, range.end)};
      if (batch_.rows == nullptr) {
        read_through(tile);
        continue;
      }
      const std::span slots = list_slots(batch_.rows, tile, room_);
      if (slots.size() * kGatherBelow > tile.end - tile.begin) {
        read_through(tile);
      } else {
        gather(slots);
      }
    }
  }

  std::uint64_t estimated() const noexcept { return estimated_; }
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
  Group<Codec>& group_;
  const QueryBatch& batch_;
  const float offset_;
  std::vector<BoundedCandidates> candidates_;
  std::vector<Slot> room_;
  std::uint64_t estimated_ = 0;
};

// What every group of queries shares.
struct Job {
  const CodeStore::Snapshot& codes;
  const VectorView& view;
  const QueryBatch& batch;
  Tile range;
  const Answers& answers;
};

// Queries [chunk.begin, chunk.end) of the job.
template <class Codec, class Distance>
SearchStats scan_group(const Codec& codec, const Job& job, const Chunk& chunk) {
  const auto& [codes, view, batch, range, answers] = job;
  VectorView queries = view;
  queries.data = batch.queries + chunk.begin * view.row_bytes();
  queries.n = chunk.end - chunk.begin;
  Group<Codec> group(codec, queries);
  std::vector<Distance> distances;
  std::vector<TopK> nearest(group.size());
  for (std::size_t q = 0; q < group.size(); ++q) {
    distances.emplace_back(view, queries.row(static_cast<Slot>(q)));
    nearest[q].reset(std::min(batch.k, range.end - range.begin) + 1);
  }
  const std::size_t covered = std::clamp(codes.covered, range.begin, range.end);
  SearchStats stats;
  stats.distances = scan_vectors<Distance>(view, batch, {covered, range.end}, distances, nearest);
  CodeScan<Codec> scan(codes, group, batch, view.metric == Metric::kCosine ? 1.0F : 0.0F);
  scan.run({range.begin, covered});
  stats.estimates = scan.estimated();
  for (std::size_t q = 0; q < group.size(); ++q) {
    stats.distances += rerank(distances[q], scan.candidates(q).sorted(), nearest[q], batch.cancel);
    write_answer<Distance>(nearest[q].sorted(), batch, chunk.begin + q, answers, stats);
  }
  return stats;
}

}  // namespace

SearchStats scan_codes(const CodeStore::Snapshot& codes, const VectorView& view, const QueryBatch& batch,
                       std::size_t begin, const Answers& answers) {
  if (codes.codec == nullptr) return scan(view, batch, begin, answers);
  const std::size_t dim = std::visit([](const auto& codec) { return codec.dim(); }, *codes.codec);
  VDB_CHECK(view.dim == dim && view.metric == codes.metric,
            "the codes are of vectors of " + std::to_string(dim) + " dimensions under " +
                std::string(name_of(codes.metric)) + ", these have " + std::to_string(view.dim) + " under " +
                std::string(name_of(view.metric)));
  VDB_CHECK(
      batch.rows == nullptr || batch.rows->size() == view.n,
      "the row set covers " + std::to_string(batch.rows->size()) + " slots, the vectors " + std::to_string(view.n));
  const Job job{codes, view, batch, {std::min(begin, view.n), view.n}, answers};
  const std::size_t threads = resolve_threads(batch.threads);
  const std::size_t group = std::clamp((batch.nq + threads - 1) / threads, std::size_t{1}, kMaxQueriesPerGroup);
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

}  // namespace vdb
