#include "index/ivf/draft.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/thread_pool.h"
#include "codec/code_store.h"
#include "codec/training_rows.h"
#include "core/kmeans.h"
#include "core/nearest_centroid.h"
#include "index/ivf/scratch.h"

namespace vdb {
namespace {

constexpr std::size_t kPlacedTogether = 8192;  // rows that are encoded before they go into lists
constexpr std::size_t kGrain = 64;
// A list is split at twice the rows it was made with, and at no less than this multiple of the average.
constexpr std::size_t kQuotaGrowth = 2;
constexpr std::size_t kFirstQuota = 4;  // of a training: lists of k-means differ that much
constexpr std::size_t kLeastQuota = 4 * ListShape::kRows;
constexpr std::size_t kSplitSample = 4096;  // rows that a split learns from
constexpr std::size_t kMostPieces = 64;     // of one list
constexpr std::size_t kSplitRounds = 3;

// Rows that are encoded and not yet in a list.
struct Staged {
  Staged(const ListShape& its_shape, std::size_t n)
      : shape(its_shape),
        lists(n),
        distances(n),
        codes(n * shape.code_bytes),
        factors(n),
        extra(n * shape.extra_bytes) {}

  ListRecord record(std::size_t i) {
    return {codes.data() + i * shape.code_bytes, &factors[i], extra.data() + i * shape.extra_bytes};
  }

  ListShape shape;
  std::vector<std::uint32_t> lists;
  std::vector<float> distances;
  std::vector<std::uint8_t> codes;
  std::vector<ResidualFactors> factors;
  std::vector<std::uint8_t> extra;
};

}  // namespace

void Draft::begin(const IvfTraining& training, const IvfParams& params) {
  state_ = {};
  state_.model = training.model;
  open_.clear();
  set_directory(Directory::offsets_of(training.centroids, state_.model->mean()), params);
  const std::size_t quota = std::max(kFirstQuota * mean_rows(), kLeastQuota);
  for (std::size_t i = 0; i < open_.size(); ++i) open(i).quota = quota;
}

void Draft::set_directory(std::vector<std::uint16_t> offsets, const IvfParams& params) {
  const IvfModel& model = *state_.model;
  state_.directory = std::make_shared<const Directory>(params.metric, std::move(offsets), model.mean(), params.seed,
                                                       model.row_length > 0);
  state_.lists.resize(state_.directory->size());
  open_.resize(state_.directory->size());
}

std::size_t Draft::mean_rows() const noexcept { return state_.model->trained_on / state_.directory->size(); }

List& Draft::open(std::size_t i) {
  if (!open_[i]) {
    const ListShape& shape = state_.model->shape;
    open_[i] = std::make_shared<List>(state_.lists[i] ? state_.lists[i]->copy(shape, true) : List{});
  }
  return *open_[i];
}

void Draft::place(const VectorView& view, std::span<const Slot> slots, const IvfExtend& options) {
  std::visit([&](const auto& codec) { place_with(codec, view, slots, options); }, state_.model->codec);
}

template <class Codec>
void Draft::place_with(const Codec& codec, const VectorView& view, std::span<const Slot> slots,
                       const IvfExtend& options) {
  const VectorView pass = for_pass(view, slots.size(), slots.empty() ? 0 : slots.back() - slots.front());
  const Directory& directory = *state_.directory;
  const std::vector<float> centroids = directory.centroids();
  const NearestCentroid nearest({centroids.data(), directory.size(), view.dim});
  Staged staged(state_.model->shape, std::min(slots.size(), kPlacedTogether));
  for (std::size_t begin = 0; begin < slots.size(); begin += kPlacedTogether) {
    const auto some = slots.subspan(begin, std::min(kPlacedTogether, slots.size() - begin));
    parallel_for({some.size(), kGrain, options.threads}, [&](const Chunk& chunk) {
      if (options.cancel->poll()) throw Cancelled();
      const std::size_t n = chunk.end - chunk.begin;
      std::vector<float> rows(n * view.dim);
      for (std::size_t i = 0; i < n; ++i) {
        const Slot slot = some[chunk.begin + i];
        to_code_space(pass, slot, code_scale(pass, slot), rows.data() + i * view.dim);
      }
      nearest.find({rows.data(), n, view.dim}, {1, options.cancel},
                   {staged.lists.data() + chunk.begin, staged.distances.data() + chunk.begin});
      typename Codec::Encoder encoder(codec);
      for (std::size_t i = 0; i < n; ++i) {
        const float* const centroid = centroids.data() + staged.lists[chunk.begin + i] * view.dim;
        encoder.encode(rows.data() + i * view.dim, centroid, staged.record(chunk.begin + i));
      }
    });
    for (std::size_t i = 0; i < some.size(); ++i) {
      open(staged.lists[i]).append(state_.model->shape, some[i], staged.record(i));
      // A row of which nothing is known says nothing about the centroids either.
      const auto distance = static_cast<double>(staged.distances[i]);
      if (std::isfinite(distance)) state_.new_spread += distance;
    }
    state_.rows += some.size();
    state_.new_rows += some.size();
    if (options.progress) options.progress(begin + some.size(), slots.size());
  }
}

std::vector<Slot> Draft::take(std::size_t i) {
  const List& from = list(i);
  std::vector<Slot> slots(from.slots.data(), from.slots.data() + from.rows);
  auto empty = std::make_shared<List>();
  empty->quota = from.quota;
  open_[i] = std::move(empty);
  state_.rows -= slots.size();
  return slots;
}

void Draft::split(const VectorView& view, const IvfParams& params, const IvfExtend& options) {
  IvfExtend quietly = options;
  quietly.progress = {};
  for (std::size_t round = 0; round < kSplitRounds; ++round) {
    const std::size_t target = std::max<std::size_t>(mean_rows(), ListShape::kRows);
    std::vector<std::uint16_t> offsets = state_.directory->offsets();
    std::vector<Slot> taken;
    std::vector<std::size_t> changed;
    const std::size_t before = state_.directory->size();
    for (std::size_t i = 0; i < before; ++i) {
      if (list(i).rows < list(i).quota) continue;
      const std::vector<Slot> slots = take(i);
      const std::vector<float> rows = training_rows(view, slots, kSplitSample, params.seed);
      const std::size_t n = rows.size() / view.dim;
      KMeansParams pieces{std::min({std::max<std::size_t>(slots.size() / target, 2), kMostPieces, n})};
      pieces.seed = params.seed;
      pieces.threads = options.threads;
      if (pieces.k >= 2) {
        const KMeans found = kmeans({rows.data(), n, view.dim}, pieces, {options.cancel, {}});
        const std::vector<std::uint16_t> more = Directory::offsets_of(found.centroids, state_.model->mean());
        std::copy_n(more.begin(), view.dim, offsets.begin() + static_cast<std::ptrdiff_t>(i * view.dim));
        offsets.insert(offsets.end(), more.begin() + static_cast<std::ptrdiff_t>(view.dim), more.end());
      }
      changed.push_back(i);
      taken.insert(taken.end(), slots.begin(), slots.end());
    }
    if (changed.empty()) return;
    set_directory(std::move(offsets), params);
    std::sort(taken.begin(), taken.end());
    const std::size_t new_rows = state_.new_rows;
    const double new_spread = state_.new_spread;
    place(view, taken, quietly);
    state_.new_rows = new_rows;  // they came before
    state_.new_spread = new_spread;
    for (std::size_t i = before; i < open_.size(); ++i) changed.push_back(i);
    for (const std::size_t i : changed) {
      List& made = open(i);  // a new one that got no row is not open yet
      made.quota = quota_for(made.rows);
    }
  }
}

void Draft::settle() {
  state_.spread = state_.new_rows == 0 ? 0.0 : state_.new_spread / static_cast<double>(state_.new_rows);
  state_.new_rows = 0;
  state_.new_spread = 0;
  for (std::size_t i = 0; i < open_.size(); ++i) open(i).quota = quota_for(list(i).rows);
}

std::size_t Draft::quota_for(std::size_t rows) const noexcept {
  return std::max(kQuotaGrowth * std::max(rows, mean_rows()), kLeastQuota);
}

std::shared_ptr<const IvfState> Draft::finish(std::size_t covered) {
  const ListShape& shape = state_.model->shape;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    if (!open_[i]) continue;
    const bool exact = open_[i]->blocks.size() == ListShape::blocks(open_[i]->rows) * shape.block_bytes();
    state_.lists[i] = exact ? std::move(open_[i]) : std::make_shared<const List>(open_[i]->copy(shape, false));
    open_[i] = nullptr;
  }
  state_.covered = covered;
  state_.scratches = std::make_shared<ListScratches>();
  return std::make_shared<const IvfState>(std::move(state_));
}

}  // namespace vdb
