#include "index/cells/population.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "codec/code_store.h"
#include "core/distance.h"

namespace vdb {
namespace {

// From one allowed row in so many on, reading the rows of a cell to find those that are costs less than listing all.
constexpr std::size_t kReadPerAllowed = 64;
constexpr std::size_t kMostListed = 16'384;
// The nearest cells that tell the density hold one row in so many: 1,500 of 100,000, as many as a walk looks at.
constexpr std::size_t kNearShare = 64;
// Rows that are read in search of allowed ones, however few those are: about as much work as a walk is.
constexpr std::size_t kLeastReads = 16'384;
constexpr std::size_t kReadShare = 16;     // of the table, where that is more
constexpr std::size_t kExpectedReads = 4;  // times the rows that hold as many as are wanted on average
constexpr std::size_t kQueriesPerChunk = 8;
constexpr std::uint64_t kSampleSeed = 42;

}  // namespace

struct Population::Scratch {
  explicit Scratch(const Cells::Centroids& centroids)
      : query(centroids.codec), estimates(centroids.n), prepared(centroids.codec.dim()) {
    heap.reserve(centroids.n);
  }

  ScalarQuantizer::Query query;
  std::vector<Estimate> estimates;
  std::vector<float> prepared;
  std::vector<Ranked> heap;
  std::vector<Slot> passing;
};

Population::Population(Cells::Snapshot cells, const RowSet& allowed)
    : cells_(std::move(cells)), allowed_(allowed), limit_(std::min(cells_.covered, allowed.size())) {
  listed_ = allowed.count() * kReadPerAllowed < limit_;
  if (listed_ && cells_.centroids) list_rows();
}

void Population::list_rows() {
  const std::size_t step = allowed_.count() / kMostListed + 1;
  std::vector<Slot> slots;
  if (step == 1) {
    slots.resize(allowed_.count() + RowSet::kListSlack);
    slots.resize(allowed_.list(0, limit_, slots.data()));
  } else {
    // Of each `step` words one at random, so that no pattern of the slots is favoured.
    const std::size_t words = (limit_ + RowSet::kWordBits - 1) / RowSet::kWordBits;
    for (std::size_t first = 0; first < words; first += step) {
      const std::size_t word = std::min(first + splitmix64(kSampleSeed ^ splitmix64(first)) % step, words - 1);
      const std::size_t end = std::min((word + 1) * RowSet::kWordBits, limit_);
      allowed_.for_each(word * RowSet::kWordBits, end, [&](Slot slot) { slots.push_back(slot); });
    }
    rows_per_listed_ =
        static_cast<float>(allowed_.count()) / static_cast<float>(std::max<std::size_t>(slots.size(), 1));
  }
  sort_by_cell(slots);
}

void Population::sort_by_cell(std::span<const Slot> slots) {
  const Cells::Cell* const cell_of = cells_.cell_of->data();
  begin_.assign(cells_.centroids->n + 1, 0);
  for (const Slot slot : slots) {
    if (cell_of[slot] != Cells::kNone) ++begin_[cell_of[slot] + 1U];
  }
  for (std::size_t c = 0; c + 1 < begin_.size(); ++c) begin_[c + 1] += begin_[c];
  slots_.resize(begin_.back());
  std::vector<std::uint32_t> next(begin_.begin(), begin_.end() - 1);
  for (const Slot slot : slots) {
    if (cell_of[slot] != Cells::kNone) slots_[next[cell_of[slot]]++] = slot;
  }
}

// The slots of a cell that both know, in two runs.
std::array<std::span<const Slot>, 2> Population::runs_of(std::size_t cell) const {
  const auto known = [&](const Cells::Runs* runs) -> std::span<const Slot> {
    if (runs == nullptr) return {};
    const std::span<const Slot> run = runs->of(cell);
    if (run.empty() || run.back() < limit_) return run;
    return run.first(static_cast<std::size_t>(std::lower_bound(run.begin(), run.end(), limit_) - run.begin()));
  };
  return {known(cells_.runs.get()), known(cells_.late.get())};
}

std::span<const Slot> Population::allowed_of(std::size_t cell, std::vector<Slot>& room) const {
  if (listed_) return {slots_.data() + begin_[cell], begin_[cell + 1] - begin_[cell]};
  const auto runs = runs_of(cell);
  room.resize(runs[0].size() + runs[1].size() + 1);
  std::size_t n = 0;
  for (const std::span<const Slot> run : runs) {
    for (const Slot slot : run) {
      room[n] = slot;
      n += allowed_.contains(slot) ? 1U : 0U;
    }
  }
  return {room.data(), n};
}

// Takes the nearest cell from the heap; its rows, and how many of them are allowed.
Population::Share Population::take_nearest(Scratch& scratch, Found& found) const {
  auto& heap = scratch.heap;
  const std::size_t cell = heap.front().cell;
  std::pop_heap(heap.begin(), heap.end());
  heap.pop_back();
  const std::span<const Slot> allowed = allowed_of(cell, scratch.passing);
  const std::size_t n = std::min(allowed.size(), found.wanted - found.n);
  std::copy_n(allowed.begin(), n, found.slots + found.n);
  found.n += n;
  const auto runs = runs_of(cell);
  return {runs[0].size() + runs[1].size(), allowed.size()};
}

// The seeds of one query whose cells are in the heap, and the density around it.
float Population::find(Scratch& scratch, Found found) const {
  auto& heap = scratch.heap;
  const std::size_t near_rows = (limit_ + kNearShare - 1) / kNearShare;
  Share near{0, 0};
  while (!heap.empty() && near.rows < near_rows) {
    const Share share = take_nearest(scratch, found);
    near.rows += share.rows;
    near.allowed += share.allowed;
  }
  if (listed_) {
    std::erase_if(heap, [&](const Ranked& ranked) { return begin_[ranked.cell] == begin_[ranked.cell + 1U]; });
    std::make_heap(heap.begin(), heap.end());
  }
  const std::size_t expected = kExpectedReads * found.wanted * limit_ / std::max<std::size_t>(allowed_.count(), 1);
  const std::size_t most = std::max({kLeastReads, limit_ / kReadShare, expected});
  std::size_t read = 0;
  while (!heap.empty() && found.n < found.wanted && (listed_ || read < most)) read += take_nearest(scratch, found).rows;
  std::fill(found.slots + found.n, found.slots + found.wanted, kAbsentSlot);
  if (near.rows == 0) return 0;
  return std::min(rows_per_listed_ * static_cast<float>(near.allowed) / static_cast<float>(near.rows), 1.0F);
}

void Population::seeds(const VectorView& view, const QueryBatch& batch, const Seeds& out) const {
  if (!cells_.centroids) {
    std::fill_n(out.slots, batch.nq * batch.k, kAbsentSlot);
    std::fill_n(out.density, batch.nq, 0.0F);
    return;
  }
  const Cells::Centroids& centroids = *cells_.centroids;
  VDB_CHECK(view.dim == centroids.codec.dim() && view.metric == cells_.metric,
            "the cells are of vectors of " + std::to_string(centroids.codec.dim()) + " dimensions under " +
                std::string(name_of(cells_.metric)) + ", these have " + std::to_string(view.dim) + " under " +
                std::string(name_of(view.metric)));
  VectorView queries = view;
  queries.data = batch.queries;
  queries.n = batch.nq;
  parallel_for({batch.nq, kQueriesPerChunk, batch.threads}, [&](const Chunk& chunk) {
    Scratch scratch(centroids);
    for (std::size_t q = chunk.begin; q < chunk.end; ++q) {
      if (batch.cancel->poll()) throw Cancelled();
      const Slot query = static_cast<Slot>(q);
      const bool cosine = view.metric == Metric::kCosine;
      const float inverse = cosine ? inverse_norm(queries.row(query), view.dim, view.dtype) : 1.0F;
      to_code_space(queries, query, inverse, scratch.prepared.data());
      scratch.query.bind(scratch.prepared.data());
      scratch.query.estimate_block(centroids.rows(), scratch.estimates.data());
      scratch.heap.clear();
      for (std::uint32_t c = 0; c < centroids.n; ++c)
        scratch.heap.push_back({ordered(scratch.estimates[c].distance), c});
      std::make_heap(scratch.heap.begin(), scratch.heap.end());
      out.density[q] = find(scratch, {out.slots + q * batch.k, 0, batch.k});
    }
  });
}

}  // namespace vdb
