#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/thread_pool.h"
#include "index/label/label_graph.h"

namespace vdb {
namespace {

// Slots per turn of a thread.
constexpr std::size_t kSlotsPerChunk = 4096;

class RowRules {
 public:
  RowRules(OverlayRows& rows, std::size_t used, const std::string& path)
      : rows_(rows), links_(rows.links()), edges_(rows.edges()), used_(used), path_(path) {}

  // A literal becomes a string only where the rule is broken: millions of edges are checked.
  template <class Text>
  void require(bool holds, const char* section, std::uint64_t at, const Text& expected, std::uint64_t found) const {
    if (!holds) throw Corrupted({path_, section, at, std::string(expected), std::to_string(found)});
  }

  // Every chain leads down through rows of its own, and each row is in one. First of all: the other rules follow
  // chains.
  void check_chains() const {
    std::vector<bool> seen(used_, false);
    for (std::size_t slot = 0; slot < rows_.slots(); ++slot) {
      std::uint64_t above = used_;
      const char* section = "heads";
      for (std::uint32_t row = rows_.heads()[slot]; row != OverlayRows::kNone; row = links_[row].next) {
        if (row >= above) require(false, section, slot, "a row below " + std::to_string(above), row);
        require(!seen[row], section, slot, "a row of no other slot", row);
        seen[row] = true;
        above = row;
        section = "links";
      }
    }
    const auto lost = std::find(seen.begin(), seen.end(), false);
    require(lost == seen.end(), "links", static_cast<std::uint64_t>(lost - seen.begin()), "a row of some slot", used_);
  }

  // Counts the nodes of each overlay by number, and checks that no slot is in one twice.
  std::vector<std::size_t> count_nodes(std::size_t numbers) const {
    std::vector<std::size_t> counts(numbers, 0);
    std::vector<Slot> last(numbers, kAbsentSlot);  // slot counted in it
    for (std::size_t slot = 0; slot < rows_.slots(); ++slot) {
      rows_.for_each_row(static_cast<Slot>(slot), [&](std::uint32_t row, const OverlayRows::Link& link) {
        if (link.overlay >= numbers) {
          require(false, "links", row, "overlays below " + std::to_string(numbers), link.overlay);
        }
        require(last[link.overlay] != slot, "links", row, "one row of an overlay", link.overlay);
        last[link.overlay] = static_cast<Slot>(slot);
        ++counts[link.overlay];
      });
    }
    return counts;
  }

  // Every neighbour is another node of the overlay, and nothing stands behind the last.
  void check_edges(Slot slot, std::uint32_t row) const {
    const std::size_t width = rows_.by_row().width();
    bool ended = false;
    for (std::size_t i = row * width; i < (row + std::size_t{1}) * width; ++i) {
      const Slot neighbor = edges_[i];
      ended |= neighbor == kAbsentSlot;
      if (neighbor == kAbsentSlot) continue;
      require(!ended, "edges", row, "nothing behind the last neighbour", neighbor);
      require(neighbor < rows_.slots() && neighbor != slot, "edges", row, "another slot", neighbor);
      require(rows_.find(neighbor, links_[row].overlay) != OverlayRows::kNone, "edges", row, "a node of the overlay",
              neighbor);
    }
  }

 private:
  OverlayRows& rows_;
  std::span<const OverlayRows::Link> links_;
  std::span<const Slot> edges_;
  std::size_t used_;
  const std::string& path_;
};

}  // namespace

void LabelGraph::check(const std::string& path) {
  const std::lock_guard lock(writer_);
  const Published now = published();
  OverlayRows& rows = *now.rows;
  const RowRules rules(rows, used_rows_, path);
  rules.check_chains();
  const std::vector<std::size_t> counts = rules.count_nodes(next_number_);
  for (const HeldOverlay& held : held_) {
    const Overlay& overlay = held.overlay;
    rules.require(counts[overlay.number] == overlay.nodes, "overlays", overlay.label,
                  std::to_string(counts[overlay.number]) + " nodes", overlay.nodes);
    for (const Slot entry : overlay.entries) {
      rules.require(entry < rows.slots() && rows.find(entry, overlay.number) != OverlayRows::kNone, "entries",
                    overlay.label, "a node of the overlay", entry);
    }
  }
  parallel_for({rows.slots(), kSlotsPerChunk, 0}, [&](const Chunk& chunk) {
    for (std::size_t at = chunk.begin; at < chunk.end; ++at) {
      const auto slot = static_cast<Slot>(at);
      rows.for_each_row(slot, [&](std::uint32_t row, const OverlayRows::Link&) { rules.check_edges(slot, row); });
    }
  });
}

}  // namespace vdb
