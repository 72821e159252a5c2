// Hierarchical navigable small world graph: Yu. Malkov and D. Yashunin, TPAMI 2018. One writer extends it in batches
// that search a frozen graph and then link (ParlayANN, PPoPP 2024), so building needs no locks, is the same for any
// number of threads, and searches go on meanwhile. With gamma its edges are those of ACORN.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "codec/code_store.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"
#include "index/graph/packed_codes.h"
#include "index/graph/scratch.h"
#include "index/hnsw/edge_rule.h"
#include "index/hnsw/layers.h"
#include "index/hnsw/params.h"
#include "io/container.h"

namespace vdb {

struct Beam;
struct RepairState;

// How a walk of level 0 goes by a filter; without one all are the same.
enum class Arm {
  kPlain,     // through every node, allowed or not
  kAdaptive,  // through allowed nodes, looking around each as far as it takes: index/graph/adaptive_hop.h
  kTwoHop,    // through allowed nodes, by neighbours of neighbours everywhere: ACORN-1
  kAcorn,     // through allowed nodes from the top level on, as published with a graph with gamma: acorn_hop.h
  kPost,      // as if all were allowed, as wide as it takes until ef of what it found are
};

// (nq, per_query) allowed slots that a filtered walk begins at besides the entry point. Such as are not below the limit
// or not allowed count for nothing, kAbsentSlot among them.
struct Seeds {
  const Slot* slots = nullptr;
  std::size_t per_query = 0;
};

struct HnswSearch {
  std::size_t ef;        // allowed candidates kept, at least k + 1 is used
  std::size_t pool;      // (kPlain, kPost) nodes kept for navigation, at least ef is used; kPost begins with so many
  std::uint64_t budget;  // steps per query, 0: none; a step is a distance, an estimate or kTestsPerStep bit tests
  std::size_t limit;     // slots below this are searched, at most covered()
  Arm arm = Arm::kPlain;
  Seeds seeds = {};
};

struct ExtendOptions {
  const RowSet* rows;  // slots to insert; null inserts all
  std::size_t threads;
  CancelToken* cancel;
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread, after each batch
};

struct RepairOptions {
  const RowSet* alive;  // over at least the covered slots; the others leave the graph for good
  std::size_t steps;    // nodes to look at before the call returns, rounded up to a batch
  std::size_t threads;
  CancelToken* cancel;
};

class Hnsw {
 public:
  explicit Hnsw(const HnswParams& params);

  // Inserts the allowed slots in [covered(), view.n). Cancelled leaves a valid graph that covers a prefix.
  void extend(const VectorView& view, const ExtendOptions& options);

  // One slice of a repair, which takes out of the graph what was dead when it began and joins what that tore apart;
  // true where the graph needs no further slice. The slices of one repair keep the rows that were alive at its first.
  // Cancelled leaves a valid graph and goes on with the next call.
  bool repair(const VectorView& view, const RepairOptions& options);

  // The same graph under other slot numbers, below `slots`: `new_slot_of[slot]` rises with the slot, kAbsentSlot drops
  // it. Dropped nodes take their edges along, so a graph with dead nodes is repaired first.
  std::unique_ptr<Hnsw> renumbered(std::span<const Slot> new_slot_of, std::size_t slots);

  // Thread-safe, also beside extend() and repair().
  SearchStats search(const VectorView& view, const QueryBatch& batch, const HnswSearch& how, const Answers& answers);

  // `more` sections go into the same file; load() leaves them to whoever knows them.
  std::uint64_t save(const std::string& path, Bytes identity, std::span<const Section> more = {});
  static std::unique_ptr<Hnsw> load(const std::string& path) { return restore(Container::read(path)); }
  static std::unique_ptr<Hnsw> restore(const Container& file);

  // Throws Corrupted, naming `path`, where an invariant is broken that a search relies on.
  void check(const std::string& path);

  const HnswParams& params() const noexcept { return params_; }
  // Null where the graph is walked by its vectors.
  const CodeStore* codes() const noexcept { return codes_.get(); }
  const std::vector<unsigned char>& identity() const noexcept { return identity_; }
  std::size_t covered() const noexcept { return covered_.load(std::memory_order_acquire); }
  std::size_t nodes() const noexcept { return nodes_.load(std::memory_order_relaxed); }
  std::size_t max_level() const noexcept;
  std::size_t memory_bytes();
  // InvalidArgument where the slot is not on that level.
  std::vector<Slot> neighbors(Slot slot, std::size_t level);

 private:
  friend class HnswBuilder;
  friend class HnswSearcher;
  friend class HnswRepair;

  static constexpr std::size_t kMaxLevel = 30;

  struct Entry {
    Slot slot;
    std::size_t level;
  };

  std::shared_ptr<Layers> layers();
  // Null where there are no blocks, or not of every node below `limit`.
  std::shared_ptr<const PackedCodes> packed(std::size_t limit);
  // Encodes the blocks of the rows that changed. The writer's.
  void pack(const VectorView& view, std::size_t threads, CancelToken* cancel);
  void reserve(std::size_t slots, std::size_t upper_rows);
  std::size_t level_of(Slot slot) const noexcept;
  // The newest entry point below `limit`; false where the graph has no node there.
  bool find_entry(std::size_t limit, Entry& entry) const noexcept;
  void add_entry(Entry entry) noexcept;
  // Derives the history of entry points from the levels.
  void restore_entries() noexcept;
  void check_view(const VectorView& view) const;

  HnswParams params_;
  EdgeRule rule_;
  std::unique_ptr<CodeStore> codes_;  // covers what the graph covers, or more
  std::vector<unsigned char> identity_;
  std::mutex writer_;        // held by extend, repair, renumbered, save and check
  std::mutex layers_mutex_;  // guards the pointer, not the arrays
  std::shared_ptr<Layers> layers_;
  std::shared_ptr<PackedCodes> packed_;  // guarded as layers_ is
  std::vector<std::uint8_t> changed_;    // (slots,) not 0 where a row of level 0 is newer than its block; the writer's
  std::size_t used_upper_rows_ = 0;
  std::atomic<std::size_t> covered_{0};
  std::atomic<std::size_t> nodes_{0};
  std::atomic<std::size_t> packed_covered_{0};  // slots below this have their blocks
  // Each node above all nodes of lower slots, so each on a higher level than the one before: a search over an older
  // state of the table starts at the newest one it may see. A slot and a level in one word, for a repair replaces them.
  std::array<std::atomic<std::uint64_t>, kMaxLevel + 1> entries_{};
  std::atomic<std::size_t> entry_count_{0};
  std::shared_ptr<RepairState> repair_;  // null between repairs
  ScratchPool scratches_;
};

}  // namespace vdb
