// Which labels get an overlay, keep it, lose it or get it anew, and which rows each overlay still lacks: by what has
// changed since the last plan, so that growth, changed labels, a label that has become frequent and a build that was
// cancelled are all the same case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/label/members.h"
#include "index/label/overlay.h"
#include "index/label/overlay_rows.h"

namespace vdb {

// An overlay as its writer knows it.
struct HeldOverlay {
  Overlay overlay;
  bool complete = false;         // searches may walk it; else it is in the making, perhaps beside the one it replaces
  std::size_t present = 0;       // nodes that are alive and have the label
  std::vector<Slot> lacks = {};  // rows still to come, the last first; some may have died or lost the label since
};

// Ascending by label, the one in the making behind the one it replaces.
using HeldOverlays = std::vector<HeldOverlay>;

// Checks the memberships of `slots`, rows of a view of `n`: InvalidArgument where those do not ascend or are not below
// n, where the offsets are not of as many lists, or where labels are numbered wildly.
void check_memberships(const Memberships& memberships, std::span<const Slot> slots, std::size_t n);

class LabelPlan {
 public:
  LabelPlan(const LabelParams& params, const LabelMembers& members, OverlayRows& rows)
      : params_(params), members_(members), rows_(rows) {}

  // Notes what rows gained and lost, and decides which overlays there are to be. `frequent` are labels that had enough
  // rows for an overlay, and too many, after the last plan; `next_number` is the first that no overlay has had.
  void follow(std::span<const MemberChange> changes, HeldOverlays& held, std::vector<std::uint32_t>& frequent,
              std::uint32_t& next_number) const;

  // The same overlays under the labels that their rows have now: each under the one whose rows are most nearly its
  // nodes. An overlay for which no label is left is dropped. What they lack is not known then: follow() with all
  // members as gained finds out.
  HeldOverlays relabelled(const HeldOverlays& before) const;

  // Puts what an overlay lacks into the order it is to come in, which is random to the rows.
  void sort_lacks(HeldOverlay& held) const;

  // Whether a row that an overlay lacked is still to come.
  bool is_lacking(const HeldOverlay& held, Slot slot) const {
    return members_.has(slot, held.overlay.label) && !holds(held.overlay, slot);
  }

 private:
  bool holds(const Overlay& overlay, Slot slot) const {
    return slot < rows_.slots() && rows_.find(slot, overlay.number) != OverlayRows::kNone;
  }
  void note(std::span<const MemberChange> changes, HeldOverlays& held) const;
  void drop_rare(HeldOverlays& held) const;
  bool is_worn(const HeldOverlay& held) const;
  void list_lacks(HeldOverlays& held, std::span<const std::size_t> begun) const;

  const LabelParams& params_;
  const LabelMembers& members_;
  OverlayRows& rows_;
};

}  // namespace vdb
