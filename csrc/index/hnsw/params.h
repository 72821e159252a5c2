// What decides a graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/code_store.h"
#include "core/metric.h"

namespace vdb {

struct HnswParams {
  // Nodes among which one chooses its edges, at most: gamma times M.
  static constexpr std::size_t kMaxCandidates = 16'384;

  std::size_t dim;
  Metric metric;
  std::size_t M = 16;  // edges a new node makes; 2M at most on level 0
  std::size_t ef_construction = 200;
  std::uint64_t seed = 42;
  std::optional<CodecKind> codes = {};  // what walks read instead of the vectors: kSq8 or kRabitq
  std::size_t code_bits = 0;            // (kRabitq) 1 to 8
  bool packed = false;  // each node of level 0 also holds 1-bit codes of its neighbours, for walks that most nodes pass
  std::size_t gamma =
      0;  // 0: edges as in HNSW. Else as in ACORN: a node has up to gamma * M, for searches under a filter
  std::size_t m_beta = 0;  // (gamma) the nearest ones on level 0, 1 to gamma * M, of which none is left out
};

}  // namespace vdb
