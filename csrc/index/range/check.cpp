#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/thread_pool.h"
#include "index/range/range.h"

namespace vdb {
namespace {

// Nodes per turn of a thread: a quarter of a megabyte of edges at M = 16.
constexpr std::size_t kNodesPerChunk = 4096;

// Whether every edge of a row leads to another slot, and nothing stands behind the last.
bool holds(const Slot* edges, std::size_t width, Slot self, std::size_t slots) noexcept {
  std::uint32_t broken = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const bool absent = edges[i] == kAbsentSlot;
    const bool hole = i > 0 && edges[i - 1] == kAbsentSlot;
    broken |= static_cast<std::uint32_t>(absent ? 0U : static_cast<unsigned>(hole | (edges[i] >= slots)));
    broken |= static_cast<std::uint32_t>(edges[i] == self);
  }
  return broken == 0;
}

[[noreturn]] void explain(const std::string& path, std::size_t layer, Slot slot, std::size_t slots) {
  throw Corrupted({path, "layer" + std::to_string(layer), slot,
                   "edges to other slots below " + std::to_string(slots) + ", nothing behind the last",
                   "another row of edges"});
}

}  // namespace

void RangeGraph::check(const std::string& path) {
  const std::lock_guard lock(writer_);
  const std::size_t slots = linked_.size();
  parallel_for({slots, kNodesPerChunk, 0}, [&](const Chunk& chunk) {
    for (std::size_t layer = 0; layer < layers_->count(); ++layer) {
      const Slot* const edges = layers_->tables[layer].data();
      for (std::size_t at = chunk.begin; at < chunk.end; ++at) {
        const auto slot = static_cast<Slot>(at);
        if (!holds(edges + at * params_.M, params_.M, slot, slots)) explain(path, layer, slot, slots);
      }
    }
  });
}

}  // namespace vdb
