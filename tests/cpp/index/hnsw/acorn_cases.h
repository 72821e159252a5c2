// ACORN graphs for the tests of their edges, their life and their search.
#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <vector>

#include "answer.h"
#include "base/error.h"
#include "core/distance.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb::testing {

inline HnswParams acorn_params(Metric metric, std::size_t dim, std::size_t gamma = 12, std::size_t m_beta = 16) {
  HnswParams params{dim, metric, 16, 40, 42};
  params.gamma = gamma;
  params.m_beta = m_beta;
  return params;
}

inline HnswSearch as_published(std::size_t ef) { return {ef, 0, 0, kMaxSlots, Arm::kAcorn}; }

inline std::vector<unsigned char> bytes_of_graph(Hnsw& graph) {
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  return read_file(folder.file("graph"));
}

// Rows chosen at random, of which about `share` pass.
inline RowSet random_rows(std::size_t n, double share, std::uint64_t seed) {
  Random random(seed);
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < n; ++i) {
    if (random.unit() < share) slots.push_back(static_cast<Slot>(i));
  }
  return RowSet::from_slots(slots, n);
}

// The rows whose first coordinate is largest, a region of the space.
inline RowSet region(const Vectors& vectors, std::size_t count) {
  std::vector<Slot> slots(vectors.n);
  for (std::size_t i = 0; i < vectors.n; ++i) slots[i] = static_cast<Slot>(i);
  std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return vectors.row(a)[0] > vectors.row(b)[0]; });
  slots.resize(count);
  return RowSet::from_slots(slots, vectors.n);
}

// Calls visit(slot, level, neighbors) for every row of a graph without dead nodes among the rows of `nodes`.
template <class Visit>
void for_each_row(Hnsw& graph, const RowSet& nodes, Visit&& visit) {
  for (const Slot slot : nodes.to_slots()) {
    for (std::size_t level = 0; level <= graph.max_level(); ++level) {
      try {
        visit(slot, level, graph.neighbors(slot, level));
      } catch (const InvalidArgument&) {
        break;
      }
    }
  }
}

// Rows that are longer than their level allows, out of order or name a node twice. A distance measured from the other
// end may differ in its last bits.
inline std::size_t unsound_rows(Hnsw& graph, const VectorView& view, const RowSet& nodes) {
  const HnswParams& of = graph.params();
  std::size_t unsound = 0;
  with_distance(view, view.data, [&]<class Distance>(const Distance&) {
    for_each_row(graph, nodes, [&](Slot slot, std::size_t level, const std::vector<Slot>& row) {
      const Distance distance(view, slot);
      bool sound = row.size() <= (level == 0 ? of.m_beta + of.M + of.M / 2 : of.gamma * of.M);
      for (std::size_t i = 1; i < row.size(); ++i) sound = sound && distance(row[i - 1]) <= distance(row[i]) + 1e-5F;
      sound = sound && std::set<Slot>(row.begin(), row.end()).size() == row.size();
      unsound += sound ? 0U : 1U;
    });
  });
  return unsound;
}

}  // namespace vdb::testing
