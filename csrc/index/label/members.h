// Which labels every slot has, as they were given last, and how many living rows have each label: so a commit is told
// apart from what was before by its own rows and those that died, not by all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/row_set.h"
#include "core/slot.h"
#include "index/label/overlay.h"

namespace vdb {

// A living row that has gained or lost a label.
struct MemberChange {
  Slot slot;
  std::uint32_t label;
  bool gained;
};

class LabelMembers {
 public:
  // Takes over that slots[i] has the labels of memberships.of(i), each below `alive.size()`, and that the living rows
  // are now `alive`. What changed by it, in proportion to these slots, those that died and a 64th of all.
  std::vector<MemberChange> update(std::span<const Slot> slots, const Memberships& memberships, const RowSet& alive);

  std::size_t slots() const noexcept { return of_slot_.size(); }
  std::size_t alive() const noexcept { return alive_.count(); }
  // Labels of a slot below slots(), each once. Valid until the next update.
  std::span<const std::uint32_t> of(Slot slot) const noexcept;
  // Whether the slot is alive and has the label.
  bool has(Slot slot, std::uint32_t label) const noexcept;
  // Living rows of a label.
  std::size_t count(std::uint32_t label) const noexcept { return label < counts_.size() ? counts_[label] : 0; }
  std::size_t memory_bytes() const noexcept;

  // Calls visit(slot, label) for each label of each living row, slots ascending.
  template <class Visit>
  void for_each(Visit&& visit) const {
    alive_.for_each(0, slots(), [&](Slot slot) {
      for (const std::uint32_t label : of(slot)) visit(slot, label);
    });
  }

 private:
  // Of a slot without labels. Others have their one label, or kListed and where in lists_ their number and they stand.
  static constexpr std::uint32_t kNone = 0x7fffffffU;
  static constexpr std::uint32_t kListed = 0x80000000U;

  void take_alive(const RowSet& alive, std::vector<MemberChange>& changes);
  void note(std::vector<MemberChange>& changes, const MemberChange& change);
  void store(Slot slot, std::span<const std::uint32_t> labels);
  void pack_lists();

  std::vector<std::uint32_t> of_slot_;
  std::vector<std::uint32_t> lists_;
  std::size_t unused_ = 0;  // of lists_: what slots had before
  std::vector<std::size_t> counts_;
  RowSet alive_;
};

}  // namespace vdb
