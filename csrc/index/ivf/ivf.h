// Inverted file (Jegou, Douze and Schmid, TPAMI 2011): rows in lists by their nearest centroid, as codes of their
// residuals, which are scanned in blocks of 32; what the codes leave in doubt is measured on the vectors. Dead rows are
// a filter. What a search sees never changes: one writer makes the next state beside it and publishes it whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/cancel.h"
#include "codec/residual_product.h"
#include "codec/residual_signs.h"
#include "core/row_set.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"
#include "index/ivf/directory.h"
#include "index/ivf/list.h"
#include "io/container.h"

namespace vdb {

enum class IvfCodes : std::uint32_t { kPq = 0, kRabitq = 1 };

struct IvfParams {
  std::size_t dim;
  Metric metric;  // not of the caller's
  IvfCodes codes;
  std::size_t nlist = 0;  // of the first training; 0: by the number of rows
  std::size_t m = 0;      // (kPq) sub-quantisers; 0: by dim
  std::size_t nbits = 4;  // (kPq) 4 or 8
  bool opq = false;       // (kPq)
  std::size_t bits = 1;   // (kRabitq) of a dimension
  std::uint64_t seed = 42;
};

struct IvfExtend {
  const RowSet* rows;  // slots that belong into lists; null: all
  std::size_t threads;
  CancelToken* cancel;                                                // not null
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread
};

struct IvfSearch {
  std::size_t nprobe;  // lists with an allowed row that are read at least
  std::size_t pool;    // rows that are measured; 0: as many as bounds leave in doubt
  std::size_t limit;   // slots below this are searched
};

// A slice of the rows for repair().
struct IvfRepair {
  const RowSet* alive;
  std::size_t steps;  // rows to look at, about
  CancelToken* cancel;
};

// What one training found out.
using ListCodec = std::variant<ResidualSigns, ResidualProduct>;
struct IvfModel {
  IvfModel(ListCodec its_codec, std::size_t rows, float length);

  const std::vector<float>& mean() const noexcept;

  ListCodec codec;
  ListShape shape;
  std::size_t trained_on;  // rows there were
  float row_length;        // under ip that of all rows, 0 where it differs or is not known
};

class ListScratches;

struct IvfState {
  std::shared_ptr<const IvfModel> model;  // null before there was a row to train on
  std::shared_ptr<const Directory> directory;
  std::vector<std::shared_ptr<const List>> lists;
  std::size_t covered = 0;
  std::size_t rows = 0;
  std::size_t new_rows = 0;                  // that came since the training
  double spread = 0;                         // mean squared distance to their centroids of the rows of the training
  double new_spread = 0;                     // sum of the same of the new rows
  std::shared_ptr<ListScratches> scratches;  // of the searches of this state; null before there is a model
};

class Ivf {
 public:
  explicit Ivf(const IvfParams& params);

  // Puts the allowed slots in [covered(), view.n) into lists, training first where that is due. Cancelled leaves the
  // index as it was. Thread-safe beside search().
  void extend(const VectorView& view, const IvfExtend& options);

  // Takes rows that are not alive out of their lists, list by list; true where none is left. Thread-safe beside
  // search().
  bool repair(const VectorView& view, const IvfRepair& options);

  // min(batch.k, matching rows) neighbours of each query; fewer only where rows are not covered. Thread-safe.
  SearchStats search(const VectorView& view, const QueryBatch& batch, const IvfSearch& how,
                     const Answers& answers) const;

  // The same lists under other slot numbers, rising with the slot; kAbsentSlot drops a row.
  std::unique_ptr<Ivf> renumbered(std::span<const Slot> new_slot_of, std::size_t slots) const;

  std::uint64_t save(const std::string& path, Bytes identity) const;
  static std::unique_ptr<Ivf> load(const std::string& path);

  // Throws Corrupted, naming `path`, where an invariant is broken that a search relies on.
  void check(const std::string& path) const;

  const IvfParams& params() const noexcept { return params_; }
  const std::vector<unsigned char>& identity() const noexcept { return identity_; }
  std::shared_ptr<const IvfState> state() const;
  // 1 for rows like those of the training; what extend() trains anew by.
  double drift() const { return drift_of(*state()); }
  std::size_t memory_bytes() const;

 private:
  static double drift_of(const IvfState& state) noexcept;
  // Whether there is a reason to train anew for `rows` rows, those of `state` among them.
  bool is_outgrown(const IvfState& state, std::size_t rows) const noexcept;
  void check_view(const VectorView& view) const;
  void publish(std::shared_ptr<const IvfState> next);

  IvfParams params_;
  std::vector<unsigned char> identity_;
  std::mutex writer_;
  std::size_t repaired_ = 0;  // lists that the repair under way has looked at; the writer's
  mutable std::mutex state_mutex_;
  std::shared_ptr<const IvfState> state_ = std::make_shared<const IvfState>();
};

}  // namespace vdb
