// From what a walk left in its scratch to an answer. What was found by codes is measured on the vectors, in the order
// of what their distances are at least, until none left can be among the nearest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "codec/code_store.h"
#include "core/rerank.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "index/graph/scratch.h"

namespace vdb {

// A query, or a stored row, as codes see it, in scratch.prepared.
inline const float* in_code_space(const VectorView& view, const std::byte* query, Scratch& scratch) {
  VectorView one = view;
  one.data = query;
  one.n = 1;
  const float inverse = view.metric == Metric::kCosine ? inverse_norm(query, view.dim, view.dtype) : 1.0F;
  scratch.prepared.resize(view.dim);
  to_code_space(one, 0, inverse, scratch.prepared.data());
  return scratch.prepared.data();
}
inline const float* in_code_space(const VectorView& view, Slot slot, Scratch& scratch) {
  scratch.prepared.resize(view.dim);
  to_code_space(view, slot, code_scale(view, slot), scratch.prepared.data());
  return scratch.prepared.data();
}

// Replaces the distances of scratch.neighbors by what they are at least under `metric`, and sorts by that.
template <class CodeDistance>
void list_lower_bounds(const CodeDistance& distance, Metric metric, Scratch& scratch) {
  std::vector<Neighbor>& found = scratch.neighbors;
  scratch.row.clear();
  for (const Neighbor& neighbor : found) scratch.row.push_back(neighbor.slot);
  scratch.estimates.resize(found.size());
  distance.estimate(scratch.row, scratch.estimates.data());
  const float offset = metric == Metric::kCosine ? 1.0F : 0.0F;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Estimate& estimate = scratch.estimates[i];
    const float lower = offset + estimate.distance - estimate.error;
    found[i].distance = lower == lower ? lower : -std::numeric_limits<float>::infinity();
  }
  std::sort(found.begin(), found.end());
}

// The first `most` of `nearest` into scratch.neighbors.
inline void keep_nearest(std::span<const Neighbor> nearest, std::size_t most, Scratch& scratch) {
  const std::span<const Neighbor> kept = nearest.first(std::min(most, nearest.size()));
  scratch.neighbors.assign(kept.begin(), kept.end());
}

// What one query of a batch is searched with.
struct QueryContext {
  const VectorView& view;
  const QueryBatch& batch;
  const CodeStore::Snapshot& codes;
  Scratch& scratch;
  SearchStats& stats;
};

// Leaves the nearest k and one of what `find` leaves in scratch.neighbors: it is given the distance by codes and the
// stats to count its walk in, and whether it finished is returned. `distance` is that of `query` by vector.
template <class Distance, class Find>
bool find_by_codes(const Distance& distance, const std::byte* query, const QueryContext& context, const Find& find) {
  Scratch& scratch = context.scratch;
  SearchStats walked;
  const float* const prepared = in_code_space(context.view, query, scratch);
  const bool finished = scratch.code_query.with_distance(context.codes, prepared, [&](const auto& by_code) {
    const bool whole = find(by_code, walked);
    const std::size_t surely = std::min(scratch.neighbors.size(), context.batch.k);
    for (std::size_t i = 0; i < surely; ++i) distance.prefetch_row(scratch.neighbors[i].slot);
    list_lower_bounds(by_code, context.view.metric, scratch);
    return whole;
  });
  TopK& nearest = scratch.allowed;
  nearest.reset(context.batch.k + 1);
  context.stats.estimates += walked.distances;
  context.stats.hops += walked.hops;
  context.stats.tests += walked.tests;
  context.stats.distances += rerank(distance, scratch.neighbors, nearest, context.batch.cancel);
  keep_nearest(nearest.sorted(), context.batch.k + 1, scratch);
  return finished;
}

}  // namespace vdb
