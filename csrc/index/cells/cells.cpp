#include "index/cells/cells.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "codec/code_store.h"
#include "codec/training_rows.h"
#include "core/dimensions.h"
#include "core/kmeans.h"
#include "core/nearest_centroid.h"

namespace vdb {
namespace {

// Cells for each root of the rows. A query looks at all centroids and at the rows of a few cells: with so many both are
// small beside a walk.
constexpr double kCellsPerRoot = 1.5;
// Rows a centroid is found from, and steps of Lloyd's iteration: hints need no better, and 100,000 rows of 384
// dimensions take a third as many products to learn from as to place.
constexpr std::size_t kRowsPerCell = 32;
constexpr std::size_t kIterations = 5;
constexpr std::size_t kRetrainGrowth = 4;
constexpr std::size_t kPlacedTogether = 256;
// Slots that came late are sorted beside the others while these are so many times as many.
constexpr std::size_t kSortedPerLate = 32;

// Of the slots from `first` on.
std::shared_ptr<const Cells::Runs> sorted_runs(std::span<const Cells::Cell> cell_of, std::size_t first,
                                               std::size_t cells) {
  Cells::Runs runs{std::vector<std::uint32_t>(cells + 1), {}, first, cell_of.size()};
  for (std::size_t slot = first; slot < cell_of.size(); ++slot) {
    if (cell_of[slot] != Cells::kNone) ++runs.begin[cell_of[slot] + 1U];
  }
  for (std::size_t c = 0; c < cells; ++c) runs.begin[c + 1] += runs.begin[c];
  runs.slots.resize(runs.begin[cells]);
  std::vector<std::uint32_t> next(runs.begin.begin(), runs.begin.end() - 1);
  for (std::size_t slot = first; slot < cell_of.size(); ++slot) {
    if (cell_of[slot] != Cells::kNone) runs.slots[next[cell_of[slot]]++] = static_cast<Slot>(slot);
  }
  return std::make_shared<const Cells::Runs>(std::move(runs));
}

}  // namespace

Cells::Cells(const CellsParams& params) : params_(params) {
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
  VDB_CHECK(params.metric != Metric::kCustom,
            "cells are of l2, cosine and ip: k-means needs means, which a metric of "
            "the caller's does not know");
  VDB_CHECK(params.n <= kNone,
            "there are at most " + std::to_string(kNone) + " cells, got n=" + std::to_string(params.n));
  snapshot_.metric = params.metric;
}

std::size_t Cells::cells_for(std::size_t rows) const noexcept {
  const auto by_rows = static_cast<std::size_t>(kCellsPerRoot * std::sqrt(static_cast<double>(rows)));
  return std::min(std::clamp<std::size_t>(params_.n == 0 ? by_rows : params_.n, 1, kNone), rows);
}

void Cells::extend(const VectorView& view, const CellsExtend& options) {
  VDB_CHECK(view.dim == params_.dim && view.metric == params_.metric, "the cells are of other vectors");
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(view.n <= kMaxSlots, "cells cover at most 2147483647 slots, got " + std::to_string(view.n));
  const std::lock_guard lock(writer_);
  Snapshot next;
  {
    const std::lock_guard snapshot_lock(snapshot_mutex_);
    next = snapshot_;
  }
  if (view.n <= next.covered) return;
  const std::size_t rows = options.rows != nullptr ? options.rows->count() : view.n;
  std::size_t begin = next.covered;
  if (rows >= kRetrainGrowth * next.trained_on && rows > 0) {
    const std::vector<Slot> slots = options.rows != nullptr ? options.rows->to_slots() : RowSet::all(view.n).to_slots();
    if (auto centroids = train(view, slots, options)) {
      next.centroids = std::move(centroids);
      next.cell_of = nullptr;
      next.runs = next.late = nullptr;
      next.trained_on = rows;
      begin = 0;
    }
  }
  auto cell_of = std::const_pointer_cast<AlignedBuffer<Cell>>(next.cell_of);
  if (!cell_of || cell_of->size() < view.n) {
    // Room for as many again: searches keep the old cells until they end.
    const std::size_t room = cell_of ? std::max(view.n, 2 * next.covered) : view.n;
    cell_of =
        std::make_shared<AlignedBuffer<Cell>>(cell_of ? cell_of->grown(room, kNone) : AlignedBuffer<Cell>(room, kNone));
  }
  if (next.centroids) place(view, options, begin, *next.centroids, cell_of->data());
  next.cell_of = std::move(cell_of);
  next.covered = view.n;
  const std::lock_guard snapshot_lock(snapshot_mutex_);
  std::swap(snapshot_, next);  // the old cells are freed outside the lock
}

// Null where no row can be learned from.
std::shared_ptr<const Cells::Centroids> Cells::train(const VectorView& view, const std::vector<Slot>& slots,
                                                     const CellsExtend& options) const {
  const std::size_t wanted = cells_for(slots.size());
  const std::vector<float> rows = training_rows(view, slots, kRowsPerCell * wanted, params_.seed);
  const std::size_t n = rows.size() / view.dim;
  if (n == 0) return nullptr;
  KMeansParams clustering{std::min(wanted, n)};
  clustering.iterations = kIterations;
  clustering.seed = params_.seed;
  clustering.threads = options.threads;
  std::vector<float> values = kmeans({rows.data(), n, view.dim}, clustering, {options.cancel, {}}).centroids;
  return coded(std::move(values), clustering.k, params_);
}

std::shared_ptr<const Cells::Centroids> Cells::coded(std::vector<float> values, std::size_t n,
                                                     const CellsParams& params) {
  const Metric metric = params.metric == Metric::kInnerProduct ? Metric::kInnerProduct : Metric::kL2;
  ScalarQuantizer codec = ScalarQuantizer::train({values.data(), n, params.dim}, {metric}, nullptr);
  std::vector<std::uint8_t> records(n * codec.record_bytes());
  for (std::size_t c = 0; c < n; ++c) {
    codec.encode(values.data() + c * params.dim, records.data() + c * codec.record_bytes());
  }
  return std::make_shared<const Centroids>(Centroids{std::move(values), std::move(codec), std::move(records), n});
}

void Cells::place(const VectorView& view, const CellsExtend& options, std::size_t begin, const Centroids& centroids,
                  Cell* cell_of) const {
  const NearestCentroid nearest({centroids.values.data(), centroids.n, view.dim});
  const VectorView pass = for_pass(view, options.rows == nullptr ? view.n : options.rows->count(), view.n);
  parallel_for({view.n - begin, kPlacedTogether, options.threads}, [&](const Chunk& chunk) {
    if (options.cancel->poll()) throw Cancelled();
    std::vector<float> rows;
    std::vector<Slot> slots;
    for (std::size_t i = begin + chunk.begin; i < begin + chunk.end; ++i) {
      const Slot slot = static_cast<Slot>(i);
      cell_of[slot] = kNone;
      if (options.rows == nullptr || options.rows->contains(slot)) slots.push_back(slot);
    }
    rows.resize(slots.size() * view.dim);
    for (std::size_t i = 0; i < slots.size(); ++i) {
      to_code_space(pass, slots[i], code_scale(pass, slots[i]), rows.data() + i * view.dim);
    }
    std::vector<std::uint32_t> found(slots.size());
    std::vector<float> distances(slots.size());
    nearest.find({rows.data(), slots.size(), view.dim}, {1, options.cancel}, {found.data(), distances.data()});
    for (std::size_t i = 0; i < slots.size(); ++i) cell_of[slots[i]] = static_cast<Cell>(found[i]);
  });
}

Cells::Snapshot Cells::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  if (!snapshot_.centroids) return snapshot_;
  const std::size_t covered = snapshot_.covered;
  const std::size_t sorted = snapshot_.runs ? snapshot_.runs->end : 0;
  if ((snapshot_.late ? snapshot_.late->end : sorted) == covered) return snapshot_;
  const std::span<const Cell> cell_of(snapshot_.cell_of->data(), covered);
  const bool few = (covered - sorted) * kSortedPerLate <= sorted;
  const auto runs = sorted_runs(cell_of, few ? sorted : 0, snapshot_.centroids->n);
  if (!few) snapshot_.runs = runs;
  snapshot_.late = few ? runs : nullptr;
  return snapshot_;
}

std::size_t Cells::covered() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_.covered;
}

std::size_t Cells::count() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_.centroids ? snapshot_.centroids->n : 0;
}

std::size_t Cells::memory_bytes() const {
  const std::lock_guard lock(snapshot_mutex_);
  std::size_t bytes = snapshot_.cell_of ? snapshot_.cell_of->bytes() : 0;
  for (const Runs* const runs : {snapshot_.runs.get(), snapshot_.late.get()}) {
    if (runs != nullptr) bytes += (runs->begin.size() + runs->slots.size()) * sizeof(Slot);
  }
  if (snapshot_.centroids) {
    bytes += snapshot_.centroids->values.size() * sizeof(float) + snapshot_.centroids->records.size();
  }
  return bytes;
}

}  // namespace vdb
