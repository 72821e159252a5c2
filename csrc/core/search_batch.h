// A batch of queries and where their answers go: shared by every way to search.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "base/cancel.h"
#include "core/neighbor.h"
#include "core/row_set.h"
#include "core/search_stats.h"

namespace vdb {

struct QueryBatch {
  const std::byte* queries;  // (nq, dim) values of the dtype of the vectors
  std::size_t nq;
  std::size_t k;
  const RowSet* rows;   // allowed slots; null allows all
  std::size_t threads;  // 0: all
  CancelToken* cancel;
};

// (nq, k) each, nearest first; short rows end in kAbsentSlot and +inf.
struct Answers {
  Slot* slots;
  float* distances;
};

// Writes the answer to query `q`, through Distance::reported, and notes in `stats` where it has ties. `nearest` should
// hold one neighbour more than the answer takes, to tell whether a tie is cut.
template <class Distance>
void write_answer(std::span<const Neighbor> nearest, const QueryBatch& batch, std::size_t q, const Answers& answers,
                  SearchStats& stats) {
  Slot* const slots = answers.slots + q * batch.k;
  float* const distances = answers.distances + q * batch.k;
  const std::size_t found = std::min(nearest.size(), batch.k);
  bool tied = false;
  for (std::size_t i = 0; i < found; ++i) {
    slots[i] = nearest[i].slot;
    distances[i] = Distance::reported(nearest[i].distance);
    tied = tied || (i > 0 && distances[i] == distances[i - 1]);
  }
  if (found > 0 && found < nearest.size() && Distance::reported(nearest[found].distance) == distances[found - 1]) {
    stats.cut.push_back(static_cast<std::uint32_t>(q));
  }
  if (tied) stats.tied.push_back(static_cast<std::uint32_t>(q));
  std::fill(slots + found, slots + batch.k, kAbsentSlot);
  std::fill(distances + found, distances + batch.k, std::numeric_limits<float>::infinity());
}

}  // namespace vdb
