// Hierarchical navigable small world graph: Yu. Malkov and D. Yashunin, TPAMI 2018. One writer extends it in batches
// that search a frozen graph and then link (ParlayANN, PPoPP 2024), so building needs no locks, is the same for any
// number of threads, and searches go on meanwhile.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"
#include "index/graph/scratch.h"
#include "index/hnsw/layers.h"
#include "io/container.h"

namespace vdb {

struct Beam;

struct HnswParams {
  std::size_t dim;
  Metric metric;
  std::size_t M = 16;  // edges a new node makes; 2M at most on level 0
  std::size_t ef_construction = 200;
  std::uint64_t seed = 42;
};

struct HnswSearch {
  std::size_t ef;        // allowed candidates kept, at least k + 1 is used
  std::size_t pool;      // nodes kept for navigation, at least ef is used
  std::uint64_t budget;  // distances per query, 0: none
  std::size_t limit;     // slots below this are searched, at most covered()
};

struct ExtendOptions {
  const RowSet* rows;  // slots to insert; null inserts all
  std::size_t threads;
  CancelToken* cancel;
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread, after each batch
};

class Hnsw {
 public:
  explicit Hnsw(const HnswParams& params);

  // Inserts the allowed slots in [covered(), view.n). Cancelled leaves a valid graph that covers a prefix.
  void extend(const VectorView& view, const ExtendOptions& options);

  // Thread-safe, also beside extend().
  SearchStats search(const VectorView& view, const QueryBatch& batch, const HnswSearch& how, const Answers& answers);

  std::uint64_t save(const std::string& path, Bytes identity);
  static std::unique_ptr<Hnsw> load(const std::string& path);

  // Throws Corrupted, naming `path`, at the first broken invariant.
  void check(const std::string& path);

  const HnswParams& params() const noexcept { return params_; }
  const std::vector<unsigned char>& identity() const noexcept { return identity_; }
  std::size_t covered() const noexcept { return covered_.load(std::memory_order_acquire); }
  std::size_t nodes() const noexcept { return nodes_.load(std::memory_order_relaxed); }
  std::size_t max_level() const noexcept;
  std::size_t memory_bytes();
  // InvalidArgument where the slot is not on that level.
  std::vector<Slot> neighbors(Slot slot, std::size_t level);

 private:
  friend class HnswBuilder;

  static constexpr std::size_t kMaxLevel = 30;

  struct Entry {
    Slot slot;
    std::size_t level;
  };

  std::shared_ptr<Layers> layers();
  void reserve(std::size_t slots, std::size_t upper_rows);
  std::size_t level_of(Slot slot) const noexcept;
  // The newest entry point below `limit`; false where the graph has no node there.
  bool find_entry(std::size_t limit, Entry& entry) const noexcept;
  void add_entry(Entry entry) noexcept;
  void check_view(const VectorView& view) const;

  template <class Distance, class Filter>
  bool search_one(const Distance& distance, const Filter& filter, std::size_t limit, const Beam& beam);

  HnswParams params_;
  std::vector<unsigned char> identity_;
  std::mutex writer_;        // held by extend, save and check
  std::mutex layers_mutex_;  // guards the pointer, not the arrays
  std::shared_ptr<Layers> layers_;
  std::size_t used_upper_rows_ = 0;
  std::atomic<std::size_t> covered_{0};
  std::atomic<std::size_t> nodes_{0};
  // Every entry point the graph has had, each on a higher level than the one before: a search over an older state of
  // the table starts at the newest one it may see.
  std::array<Entry, kMaxLevel + 1> entries_{};
  std::atomic<std::size_t> entry_count_{0};
  ScratchPool scratches_;
};

}  // namespace vdb
