// Layered-window graph over an ordered column, after WoW (SIGMOD 2026): rows are ranked by (key, slot), and each layer
// links rows within a window of ranks, so a walk within a range of keys goes by edges that stay inside. Deviations: all
// rows of one extend() are ranked before the first is linked, in an order that is random to the keys; the narrowest
// layers are left out; edges are chosen by vectors, walks read codes. One writer, as in index/hnsw.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "codec/code_store.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"
#include "index/graph/scratch.h"
#include "index/range/layers.h"
#include "index/range/order.h"
#include "io/container.h"

namespace vdb {

struct RangeParams {
  std::size_t dim;
  Metric metric;
  std::size_t M = 16;  // edges of a node in each layer, at most
  std::size_t ef_construction = 200;
  std::uint64_t seed = 42;
};

struct RangeSearch {
  std::size_t ef;          // candidates kept, at least k + 1 is used
  std::size_t pool;        // nodes kept for navigation, at least ef is used; 0: what few allowed rows need
  std::uint64_t budget;    // distances or estimates per query, 0: none
  std::size_t limit;       // slots below this are searched, at most covered()
  std::int64_t low;        // keys from here
  std::int64_t high;       // to here, both included
  const CodeStore* codes;  // what walks read in place of the vectors, of the same column and metric; null: nothing
};

struct RangeExtend {
  const RowSet* rows;                  // slots that belong into the graph; null: all
  std::span<const Slot> slots;         // each once: those that are new and those with another key
  std::span<const std::int64_t> keys;  // of each of them
  // Whether the others have no key, and all keys may be others than before for the same order, as when texts are
  // numbered anew: rows keep their edges where most of the others still stand before and behind them as they did.
  bool whole;
  const CodeStore* codes;  // as in RangeSearch; used where they cover all of the view
  std::size_t threads;
  CancelToken* cancel;
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread, after each batch
};

class RangeGraph {
 public:
  explicit RangeGraph(const RangeParams& params);

  // Inserts the rows that are not in the graph, and again those whose key has changed; returns how many these were.
  // Cancelled leaves a valid graph that covers what it covered before; the next call, which is given the same rows and
  // perhaps more, goes on.
  std::size_t extend(const VectorView& view, const RangeExtend& options);

  // The batch's rows must be rows of the range, or null where every row of it is allowed. Thread-safe, also beside
  // extend().
  SearchStats search(const VectorView& view, const QueryBatch& batch, const RangeSearch& how, const Answers& answers);

  std::uint64_t save(const std::string& path, Bytes identity);
  static std::unique_ptr<RangeGraph> load(const std::string& path);

  // Throws Corrupted, naming `path`, where an invariant is broken that a search relies on.
  void check(const std::string& path);

  const RangeParams& params() const noexcept { return params_; }
  const std::vector<unsigned char>& identity() const noexcept { return identity_; }
  std::size_t covered() const noexcept { return covered_.load(std::memory_order_acquire); }
  std::size_t nodes() const noexcept { return nodes_.load(std::memory_order_relaxed); }
  std::size_t layer_count();
  std::size_t memory_bytes();
  // InvalidArgument where the slot is not in the graph, or there is no such layer.
  std::vector<Slot> neighbors(Slot slot, std::size_t layer);

 private:
  friend class RangeBuilder;
  friend class RangeSearcher;

  std::shared_ptr<RangeLayers> layers();
  std::shared_ptr<const Order> order();
  void set_order(Order order);
  // Room for `slots` and the layers that `rows` need.
  void reserve(std::size_t slots, std::size_t rows);
  // Gives `slots`, all that have a key, other keys, and takes those out whose place in the order has changed.
  void rekey(std::span<const Slot> slots, std::span<const std::int64_t> keys);
  void check_view(const VectorView& view) const;
  // InvalidArgument where codes are of other vectors than those of this graph.
  void check_codes(const CodeStore* codes) const;

  RangeParams params_;
  std::vector<unsigned char> identity_;
  std::mutex writer_;        // held by extend, save and check
  std::mutex shared_mutex_;  // guards the two pointers, not what they point to
  std::shared_ptr<RangeLayers> layers_;
  std::shared_ptr<const Order> order_;
  // (slots,) 1 where the slot is in the graph under its key. Slots from covered() on may be, where extend() was
  // cancelled. The writer's.
  std::vector<std::uint8_t> linked_;
  std::atomic<std::size_t> covered_{0};
  std::atomic<std::size_t> nodes_{0};
  ScratchPool scratches_;
};

}  // namespace vdb
