// The memory of one running search, reused by the next: a search loop allocates nothing once it is warm.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/neighbor.h"
#include "core/top_k.h"
#include "index/graph/bridges.h"
#include "index/graph/candidate_pool.h"
#include "index/graph/code_distance.h"
#include "index/graph/fresh.h"
#include "index/graph/packed_query.h"
#include "index/graph/visited.h"

namespace vdb {

struct Scratch {
  CandidatePool pool;
  Visited visited;
  TopK allowed;                     // nearest that pass the filter
  Fresh fresh;                      // neighbours of one node not seen before
  Surroundings surroundings;        // of one node whose neighbours may not pass
  std::vector<Slot> entries;        // where a filtered search begins
  std::vector<Slot> row;            // edges of a node being linked
  std::vector<Neighbor> neighbors;  // sorted candidates of a node being linked
  std::vector<Neighbor> selected;
  std::vector<float> prepared;  // a query as codes see it
  CodeQuery code_query;
  PackedQuery packed_query;
  std::vector<Estimate> estimates;  // of what a walk by codes found
};

// Hands out scratches; each goes back when its handle dies. Thread-safe.
class ScratchPool {
 public:
  class Return {
   public:
    explicit Return(ScratchPool* pool) noexcept : pool_(pool) {}
    void operator()(Scratch* scratch) const noexcept { pool_->give_back(scratch); }

   private:
    ScratchPool* pool_;
  };
  using Handle = std::unique_ptr<Scratch, Return>;

  Handle take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      all_.push_back(std::make_unique<Scratch>());
      free_.reserve(all_.size());
      return Handle(all_.back().get(), Return(this));
    }
    Scratch* const scratch = free_.back();
    free_.pop_back();
    return Handle(scratch, Return(this));
  }

 private:
  void give_back(Scratch* scratch) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(scratch);  // within reserved capacity
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> all_;
  std::vector<Scratch*> free_;
};

}  // namespace vdb
