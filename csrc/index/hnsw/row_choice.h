// What a rule of edges is given when it chooses those of a row, mends one, or joins a batch to a graph.
#pragma once

#include <cstddef>
#include <span>

#include "core/vectors.h"
#include "index/graph/link.h"
#include "index/graph/scratch.h"
#include "index/hnsw/layers.h"

namespace vdb {

// A row of `level`; its rule may use scratch.visited.
struct RowChoice {
  const VectorView& view;
  Layers& layers;
  std::size_t level;
  Scratch& scratch;
};

// The new nodes of a batch, stored already, as neighbours of others.
struct BatchJoin {
  const VectorView& view;
  Layers& layers;
  ReverseEdges& reverse;
  ScratchPool& scratches;
  std::size_t threads;
};

// A row that lost neighbours: those it has left, what may come in the place of the others, sorted by distance to
// `slot`, and how many there were.
struct TornChoice {
  RowChoice row;
  Slot slot;
  std::span<const Slot> living;
  std::span<const Neighbor> others;
  std::size_t degree;
};

}  // namespace vdb
