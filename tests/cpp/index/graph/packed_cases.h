// Vectors with made edges and their packed codes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "data.h"
#include "index/graph/adjacency.h"
#include "index/graph/packed_codes.h"

namespace vdb::testing {

inline std::vector<Slot> first_slots(std::size_t n) {
  std::vector<Slot> slots(n);
  for (std::size_t i = 0; i < n; ++i) slots[i] = static_cast<Slot>(i);
  return slots;
}

// Edges of `width` places; node i has degree(i) neighbours i + step, i + 2 step, ... around the table.
struct MadeEdges {
  template <class Degree>
  MadeEdges(std::size_t n, std::size_t its_width, std::size_t step, Degree degree)
      : width(its_width), values(n * width, kAbsentSlot) {
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<Slot> row;
      for (std::size_t j = 1; j <= degree(i); ++j) row.push_back(static_cast<Slot>((i + j * step) % n));
      adjacency().store(static_cast<Slot>(i), row);
    }
  }

  Adjacency adjacency() { return {values.data(), width}; }
  std::vector<Slot> row(Slot node) {
    std::vector<Slot> row;
    adjacency().for_each(node, [&](Slot neighbor) { row.push_back(neighbor); });
    return row;
  }

  std::size_t width;
  std::vector<Slot> values;
};

inline PackedParams packed_params(Metric metric, std::size_t dim, std::size_t degree, std::uint64_t seed = 5) {
  return {dim, metric, degree, seed, {}};
}

inline void rebuild(PackedCodes& codes, const VectorView& view, MadeEdges& edges, std::span<const Slot> nodes,
                    std::size_t threads = 1) {
  codes.rebuild(view, edges.adjacency(), nodes, threads, nullptr);
}

// The distance in search order, in float64.
inline double exact_distance(Metric metric, const float* row, const float* query, std::size_t dim) {
  double l2 = 0;
  double product = 0;
  double row_norm = 0;
  double query_norm = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double a = double{row[d]};
    const double b = double{query[d]};
    l2 += (a - b) * (a - b);
    product += a * b;
    row_norm += a * a;
    query_norm += b * b;
  }
  switch (metric) {
    case Metric::kL2: return l2;
    case Metric::kInnerProduct: return -product;
    case Metric::kCosine:
    case Metric::kCustom: break;
  }
  return 1 - product / std::sqrt(row_norm * query_norm);
}

}  // namespace vdb::testing
