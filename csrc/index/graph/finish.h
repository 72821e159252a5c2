// From what a walk by codes found to the nearest by vector: measured in the order of what their distances are at least,
// until none left can be among the nearest.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "codec/code_store.h"
#include "core/rerank.h"
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

// Leaves the nearest `keep` of scratch.neighbors, which have lower bounds, with their distances. How many it measured.
template <class Distance>
std::uint64_t measure_nearest(const Distance& distance, std::size_t keep, CancelToken* cancel, Scratch& scratch) {
  TopK& nearest = scratch.allowed;
  nearest.reset(keep);
  const std::uint64_t measured = rerank(distance, scratch.neighbors, nearest, cancel);
  const std::span<const Neighbor> sorted = nearest.sorted();
  scratch.neighbors.assign(sorted.begin(), sorted.end());
  return measured;
}

}  // namespace vdb
