// What an overlay is: the graph of the rows that share a label.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/metric.h"
#include "core/slot.h"

namespace vdb {

struct LabelParams {
  std::size_t dim;
  Metric metric;
  std::size_t M = 16;  // half the edges of a node at most
  std::size_t ef_construction = 200;
  std::uint64_t seed = 42;       // of the order in which rows come into an overlay
  std::size_t min_rows = 1'000;  // that a label has before it gets an overlay; 1: every label has one, however common
};

// The labels of row i are labels[offsets[i]] up to labels[offsets[i + 1]]; one may come twice.
struct Memberships {
  std::span<const std::uint64_t> offsets;
  std::span<const std::uint32_t> labels;

  std::span<const std::uint32_t> of(std::size_t row) const noexcept {
    return labels.subspan(offsets[row], offsets[row + 1] - offsets[row]);
  }
};

// The graph of one label.
struct Overlay {
  // Where walks begin: some nodes, in the order they came, each `stride` nodes from the one before.
  static constexpr std::size_t kEntries = 32;

  std::uint32_t label;
  std::uint32_t number;   // of its rows
  std::size_t nodes = 0;  // those of rows that died, or lost the label, among them
  std::size_t stride = 1;
  std::vector<Slot> entries = {};

  void add(Slot slot);
};
using Overlays = std::vector<Overlay>;  // ascending by label

// The overlay of a label, null where there is none.
const Overlay* find_overlay(const Overlays& overlays, std::uint32_t label) noexcept;

}  // namespace vdb
