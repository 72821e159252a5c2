// A batch of queries and where their answers go: shared by every way to search.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "base/cancel.h"
#include "core/neighbor.h"
#include "core/row_set.h"

namespace vdb {

struct QueryBatch {
  const float* queries;  // (nq, dim)
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

// Writes one query's answer through Distance::reported.
template <class Distance>
void write_answer(std::span<const Neighbor> nearest, std::size_t k, Slot* slots, float* distances) noexcept {
  const std::size_t found = std::min(nearest.size(), k);
  for (std::size_t i = 0; i < found; ++i) {
    slots[i] = nearest[i].slot;
    distances[i] = Distance::reported(nearest[i].distance);
  }
  std::fill(slots + found, slots + k, kAbsentSlot);
  std::fill(distances + found, distances + k, std::numeric_limits<float>::infinity());
}

}  // namespace vdb
