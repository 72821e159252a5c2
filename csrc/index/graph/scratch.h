// The memory of one running search, reused by the next: a search loop allocates nothing once it is warm.
#pragma once

#include <vector>

#include "base/recycler.h"
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

using ScratchPool = Recycler<Scratch>;

}  // namespace vdb
