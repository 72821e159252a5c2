// Overlays: for each label that many rows have, a graph of those rows alone, over the vectors and codes of the column.
// A search for one label then needs no filter: it is the partition that filtered graphs such as ACORN (Patel et al.,
// SIGMOD 2024) approximate. One writer extends them in batches beside searches, as index/hnsw does its graph.
#pragma once

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
#include "index/graph/scratch.h"
#include "index/label/members.h"
#include "index/label/overlay.h"
#include "index/label/overlay_rows.h"
#include "index/label/plan.h"
#include "io/container.h"

namespace vdb {

struct LabelExtend {
  std::span<const Slot> slots;  // ascending, of which labels are given: those that are new and those with other labels
  Memberships memberships;      // of each of them
  // Whether the others have none, and labels may be numbered anew: which overlay is of which is found out by its rows.
  bool whole;
  const RowSet* rows;  // slots that belong into overlays; null: all
  std::size_t threads;
  CancelToken* cancel;
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread, after each batch
  const CodeStore* codes;  // what walks read where they cover the view; null: the vectors
  std::size_t most = 0;    // rows that overlays in the making get, 0: all
};

struct LabelSearch {
  std::span<const std::uint32_t> labels;  // rows that have any of them are searched
  std::size_t ef;                         // allowed candidates kept, at least k + 1 is used
  std::size_t pool;                       // nodes kept for navigation, at least ef is used
  std::uint64_t budget;                   // distances or estimates per query, 0: none
  std::size_t limit;                      // slots below this are searched, at most covered()
  const CodeStore* codes;                 // what walks read where they cover as much; null: the vectors
};

class LabelGraph {
 public:
  explicit LabelGraph(const LabelParams& params);

  // Makes overlays hold the memberships of all allowed slots of the view: it begins those of labels that have become
  // frequent, drops those of labels that no longer are, and makes anew those with many nodes that have died or lost the
  // label. Those are walked once they are complete; until then the one before is. Cancelled leaves overlays that
  // searches may go on with; the next call goes on. InvalidArgument where the first call after load() is not `whole`.
  void extend(const VectorView& view, const LabelExtend& options);
  // Rows that overlays in the making, or those of a cancelled extend(), still lack: about as many, once it has ended.
  std::size_t lacking() const noexcept { return lacking_.load(std::memory_order_relaxed); }

  // Walks the overlay of each label, and keeps the nearest of all. Without allowed rows, whatever was in an overlay
  // when it was made and since is found. Where a label has no overlay, every query is unfinished. Thread-safe, also
  // beside extend().
  SearchStats search(const VectorView& view, const QueryBatch& batch, const LabelSearch& how, const Answers& answers);

  std::uint64_t save(const std::string& path, Bytes identity);
  // The numbers of labels may be others by now: the first extend() is to be `whole`.
  static std::unique_ptr<LabelGraph> load(const std::string& path);

  // Throws Corrupted, naming `path`, where an invariant is broken that a search relies on.
  void check(const std::string& path);

  const LabelParams& params() const noexcept { return params_; }
  const std::vector<unsigned char>& identity() const noexcept { return identity_; }
  std::size_t covered() const noexcept { return covered_.load(std::memory_order_acquire); }
  // Labels that have an overlay, ascending.
  std::vector<std::uint32_t> labels();
  // Nodes of the label's overlay, 0 where it has none: where as many rows are allowed, they are these.
  std::size_t count(std::uint32_t label);
  // Nodes of all overlays.
  std::size_t nodes();
  std::size_t memory_bytes();
  // InvalidArgument where the slot is not in an overlay of that label.
  std::vector<Slot> neighbors(std::uint32_t label, Slot slot);

 private:
  friend class LabelBuilder;
  friend class LabelSearcher;

  // Overlays and the rows their numbers are of, as one search sees them.
  struct Published {
    std::shared_ptr<OverlayRows> rows;
    std::shared_ptr<const Overlays> overlays;
  };

  Published published();
  void publish(Published now);
  // Those that searches may walk.
  std::shared_ptr<const Overlays> complete() const;
  // Room for as many slots and rows, for searches too. The writer's.
  void reserve(std::size_t slots, std::size_t rows);
  // Gives back the rows of overlays that are no more, where those are the most.
  void drop_unused();
  void check_view(const VectorView& view) const;
  void check_codes(const CodeStore* codes) const;

  LabelParams params_;
  std::vector<unsigned char> identity_;
  std::mutex writer_;  // held by extend, save and check
  std::mutex published_mutex_;
  Published published_;
  std::atomic<std::size_t> covered_{0};
  std::atomic<std::size_t> lacking_{0};
  std::atomic<std::size_t> members_bytes_{0};
  // The writer's.
  LabelMembers members_;
  HeldOverlays held_;
  std::vector<std::uint32_t> frequent_;  // labels of so many rows that they have no overlay
  std::size_t used_rows_ = 0;
  std::uint32_t next_number_ = 0;
  bool loaded_ = false;  // the labels of held_ are as they were numbered when they were saved
  ScratchPool scratches_;
};

}  // namespace vdb
