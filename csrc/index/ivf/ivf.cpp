#include "index/ivf/ivf.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "codec/opq.h"
#include "core/dimensions.h"
#include "index/ivf/draft.h"
#include "index/ivf/train.h"

namespace vdb {
namespace {

constexpr std::size_t kMaxLists = 65'535;
constexpr std::size_t kMaxBits = 8;
// Trained anew where there are so many times the rows, or where new ones lie so much farther from the centroids.
constexpr std::size_t kRetrainGrowth = 4;
constexpr double kRetrainDrift = 1.25;
constexpr std::size_t kDriftShare = 8;  // of the rows of the training, how many new ones tell
constexpr std::size_t kLeastDriftRows = 256;

void check_codes(const IvfParams& params) {
  if (params.codes == IvfCodes::kRabitq) {
    VDB_CHECK(params.bits >= 1 && params.bits <= kMaxBits,
              "bits must be from 1 to 8, got " + std::to_string(params.bits));
    return;
  }
  VDB_CHECK(params.nbits == 4 || params.nbits == 8, "nbits must be 4 or 8, got " + std::to_string(params.nbits));
  VDB_CHECK(params.m <= params.dim, "m must be at most dim, " + std::to_string(params.dim) +
                                        ", or 0 for one by dim; got " + std::to_string(params.m));
  VDB_CHECK(!params.opq || params.dim <= kMaxOpqDim, "opq is of at most " + std::to_string(kMaxOpqDim) +
                                                         " dimensions, got " + std::to_string(params.dim) +
                                                         ": leave it out, or use rabitq");
}

ListShape shape_of(const ListCodec& codec) {
  return std::visit(
      [](const auto& concrete) {
        return ListShape{concrete.code_bytes(), concrete.interleaved(), concrete.extra_bytes()};
      },
      codec);
}

}  // namespace

IvfModel::IvfModel(ListCodec its_codec, std::size_t rows, float length)
    : codec(std::move(its_codec)), shape(shape_of(codec)), trained_on(rows), row_length(length) {}

const std::vector<float>& IvfModel::mean() const noexcept {
  return std::visit([](const auto& concrete) -> const std::vector<float>& { return concrete.mean(); }, codec);
}

Ivf::Ivf(const IvfParams& params) : params_(params) {
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "dim must be from 1 to " + std::to_string(kMaxDim) + ", got " + std::to_string(params.dim));
  VDB_CHECK(
      params.metric != Metric::kCustom,
      "an inverted file is of l2, cosine and ip: k-means needs means, which a metric of the caller's does not know");
  VDB_CHECK(params.nlist <= kMaxLists, "nlist must be at most " + std::to_string(kMaxLists) +
                                           ", or 0 for one by the rows; got " + std::to_string(params.nlist));
  check_codes(params);
}

std::shared_ptr<const IvfState> Ivf::state() const {
  const std::lock_guard lock(state_mutex_);
  return state_;
}

void Ivf::publish(std::shared_ptr<const IvfState> next) {
  const std::lock_guard lock(state_mutex_);
  state_.swap(next);  // the old state is freed outside the lock
}

void Ivf::check_view(const VectorView& view) const {
  VDB_CHECK(view.dim == params_.dim && view.metric == params_.metric,
            "the index is of vectors of " + std::to_string(params_.dim) + " dimensions under " +
                std::string(name_of(params_.metric)) + ", these have " + std::to_string(view.dim) + " under " +
                std::string(name_of(view.metric)));
}

double Ivf::drift_of(const IvfState& state) noexcept {
  if (state.new_rows == 0 || !(state.spread > 0)) return 1;
  return state.new_spread / static_cast<double>(state.new_rows) / state.spread;
}

bool Ivf::is_outgrown(const IvfState& state, std::size_t rows) const noexcept {
  if (!state.model || rows >= kRetrainGrowth * state.model->trained_on) return true;
  const std::size_t enough = std::max(state.model->trained_on / kDriftShare, kLeastDriftRows);
  return state.new_rows >= enough && drift_of(state) > kRetrainDrift;
}

void Ivf::extend(const VectorView& view, const IvfExtend& options) {
  check_view(view);
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(view.n <= kMaxSlots, "an index covers at most 2147483647 slots, got " + std::to_string(view.n));
  const std::lock_guard lock(writer_);
  const auto now = state();
  if (view.n <= now->covered) return;
  const RowSet all = options.rows != nullptr ? *options.rows : RowSet::all(view.n);
  const RowSet fresh = all & RowSet::from_range(now->covered, view.n, view.n);
  Draft draft(*now);
  bool outgrown = is_outgrown(*now, now->rows + fresh.count());
  if (!outgrown) {
    draft.place(view, fresh.to_slots(), options);
    outgrown = is_outgrown(draft.state(), draft.state().rows);
  }
  if (outgrown) {
    const std::vector<Slot> slots = all.to_slots();
    const auto training = train_ivf(view, slots, params_, options);
    if (!training) return;
    draft.begin(*training, params_);
    draft.place(view, slots, options);
    repaired_ = 0;
  }
  draft.split(view, params_, options);
  if (outgrown) draft.settle();
  publish(draft.finish(view.n));
}

std::size_t Ivf::memory_bytes() const {
  const auto now = state();
  if (!now->model) return 0;
  std::size_t bytes = now->directory->memory_bytes() + now->lists.size() * (sizeof(List) + sizeof(now->lists[0]));
  bytes += std::visit([](const auto& codec) { return codec.memory_bytes(); }, now->model->codec);
  for (const auto& list : now->lists) bytes += list->blocks.bytes() + list->extra.bytes() + list->slots.bytes();
  return bytes;
}

}  // namespace vdb
