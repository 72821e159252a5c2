// Which labels get an overlay, keep it, lose it or get it anew, and which rows each overlay still lacks: a function of
// the memberships and of what there is, so that growth, changed labels, a label that has become frequent and a build
// that was cancelled are all the same case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/row_set.h"
#include "core/slot.h"
#include "index/label/overlay.h"
#include "index/label/overlay_rows.h"

namespace vdb {

struct LabelPlan {
  Overlays overlays;
  std::vector<std::vector<Slot>> pending;  // by overlay, in the order they are to come
  std::size_t total = 0;                   // of them
};

struct LabelPlanInput {
  const LabelParams& params;
  const Memberships& memberships;
  const RowSet* alive;  // slots that belong into overlays; null: all
};

// Checks the memberships: InvalidArgument where they are not of `n` slots, or numbered wildly.
void check_memberships(const Memberships& memberships, std::size_t n);

// `next_number` is the first that no overlay has had.
LabelPlan plan_overlays(const LabelPlanInput& input, const Overlays& before, OverlayRows& rows,
                        std::uint32_t& next_number);

// The same overlays under the labels that their rows have now: each under the one whose rows are most nearly its nodes.
// An overlay for which no label is left is dropped.
Overlays relabelled(const LabelPlanInput& input, const Overlays& before, OverlayRows& rows);

}  // namespace vdb
