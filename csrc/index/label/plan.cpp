#include "index/label/plan.h"

#include <algorithm>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace vdb {
namespace {

// A label of more than 3/4 of the rows gets no overlay: a walk of the main graph, which goes through all rows and keeps
// those that have the label, takes 1/share of the work, so there is at most a third of it to save.
constexpr std::size_t kGreatestShareOver = 4;
constexpr std::size_t kGreatestShare = 3;
// An overlay is kept until its label has only this share of the rows that began it, so that a label at the threshold
// does not get and lose it in turns.
constexpr std::size_t kKeptShareOver = 2;
// Where more than a third of the nodes are dead, a walk goes through half as many again as it needs. Made anew then,
// each dead row has cost at most two insertions.
constexpr std::size_t kDeadShareOver = 3;
// Labels are numbered from 0, nearly without gaps: what is kept by label is an array.
constexpr std::uint32_t kMaxLabels = 1U << 28;

constexpr std::uint32_t kNoOverlay = 0xffffffffU;

// Calls visit(slot, label) for each label of each slot that belongs into overlays, once.
template <class Visit>
void for_each_member(const LabelPlanInput& input, Visit&& visit) {
  const auto labels_of = [&](Slot slot) {
    const std::span<const std::uint32_t> labels = input.memberships.of(slot);
    for (auto label = labels.begin(); label != labels.end(); ++label) {
      if (std::find(labels.begin(), label, *label) == label) visit(slot, *label);
    }
  };
  const std::size_t n = input.memberships.slots();
  if (input.alive != nullptr) {
    input.alive->for_each(0, n, labels_of);
  } else {
    for (std::size_t slot = 0; slot < n; ++slot) labels_of(static_cast<Slot>(slot));
  }
}

// Rows of each label.
std::vector<std::size_t> count_members(const LabelPlanInput& input) {
  const std::span<const std::uint32_t> labels = input.memberships.labels;
  std::vector<std::size_t> counts(labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1, 0);
  for_each_member(input, [&](Slot, std::uint32_t label) { ++counts[label]; });
  return counts;
}

// By label, the position of its overlay in `overlays`.
std::vector<std::uint32_t> positions_of(const Overlays& overlays, std::size_t labels) {
  std::vector<std::uint32_t> positions(labels, kNoOverlay);
  for (std::size_t i = 0; i < overlays.size(); ++i) {
    if (overlays[i].label < labels) positions[overlays[i].label] = static_cast<std::uint32_t>(i);
  }
  return positions;
}

bool holds(OverlayRows& rows, const Overlay& overlay, Slot slot) {
  return slot < rows.slots() && rows.find(slot, overlay.number) != OverlayRows::kNone;
}

// The overlays there are to be; `present` counts the nodes of each old one that still belong into it.
Overlays chosen(const LabelPlanInput& input, const std::vector<std::size_t>& counts, const Overlays& before,
                const std::vector<std::size_t>& present, std::uint32_t& next_number) {
  const std::size_t alive = input.alive != nullptr ? input.alive->count() : input.memberships.slots();
  const std::size_t most = alive / kGreatestShareOver * kGreatestShare;
  const std::size_t least = std::max<std::size_t>(input.params.min_rows / kKeptShareOver, 1);
  const std::vector<std::uint32_t> positions = positions_of(before, counts.size());
  Overlays overlays;
  for (std::uint32_t label = 0; label < counts.size(); ++label) {
    const std::uint32_t at = positions[label];
    if (at == kNoOverlay) {
      const bool worthwhile = counts[label] >= input.params.min_rows && counts[label] <= most;
      if (worthwhile) overlays.push_back({label, next_number++});
    } else if (counts[label] >= least) {
      const std::size_t dead = before[at].nodes - present[at];
      const bool kept = dead <= before[at].nodes / kDeadShareOver;
      overlays.push_back(kept ? before[at] : Overlay{label, next_number++});
    }
  }
  return overlays;
}

}  // namespace

void check_memberships(const Memberships& memberships, std::size_t n) {
  const std::span<const std::uint64_t> offsets = memberships.offsets;
  VDB_CHECK(offsets.size() == n + 1,
            "there are " + std::to_string(offsets.size()) + " offsets of labels, expected " + std::to_string(n + 1));
  VDB_CHECK(offsets.front() == 0 && offsets.back() == memberships.labels.size() &&
                std::is_sorted(offsets.begin(), offsets.end()),
            "the offsets of labels must rise from 0 to " + std::to_string(memberships.labels.size()));
  for (const std::uint32_t label : memberships.labels) {
    VDB_CHECK(label < kMaxLabels, "label " + std::to_string(label) + " is too large, expected numbers from 0 on");
  }
}

LabelPlan plan_overlays(const LabelPlanInput& input, const Overlays& before, OverlayRows& rows,
                        std::uint32_t& next_number) {
  const std::vector<std::size_t> counts = count_members(input);
  std::vector<std::uint32_t> positions = positions_of(before, counts.size());
  std::vector<std::size_t> present(before.size(), 0);
  for_each_member(input, [&](Slot slot, std::uint32_t label) {
    const std::uint32_t at = positions[label];
    if (at != kNoOverlay && holds(rows, before[at], slot)) ++present[at];
  });
  LabelPlan plan{chosen(input, counts, before, present, next_number), {}};
  plan.pending.resize(plan.overlays.size());
  positions = positions_of(plan.overlays, counts.size());
  for_each_member(input, [&](Slot slot, std::uint32_t label) {
    const std::uint32_t at = positions[label];
    if (at != kNoOverlay && !holds(rows, plan.overlays[at], slot)) plan.pending[at].push_back(slot);
  });
  const auto place = [&](Slot slot) { return splitmix64(input.params.seed ^ splitmix64(slot)); };
  for (std::vector<Slot>& slots : plan.pending) {
    std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return place(a) < place(b); });
    plan.total += slots.size();
  }
  return plan;
}

Overlays relabelled(const LabelPlanInput& input, const Overlays& before, OverlayRows& rows) {
  const std::vector<std::size_t> counts = count_members(input);
  std::unordered_map<std::uint32_t, std::size_t> position_of;  // by number
  for (std::size_t i = 0; i < before.size(); ++i) position_of[before[i].number] = i;
  std::vector<std::unordered_map<std::uint32_t, std::size_t>> shared(before.size());  // by label, rows of both
  for_each_member(input, [&](Slot slot, std::uint32_t label) {
    if (slot >= rows.slots()) return;
    rows.for_each_row(slot, [&](std::uint32_t, const OverlayRows::Link& link) {
      if (const auto at = position_of.find(link.overlay); at != position_of.end()) ++shared[at->second][label];
    });
  });
  struct Likeness {
    double share;  // of the rows of either, those of both (Jaccard)
    std::uint32_t label;
    std::size_t at;
  };
  std::vector<Likeness> likenesses;
  for (std::size_t at = 0; at < before.size(); ++at) {
    for (const auto& [label, both] : shared[at]) {
      const auto either = static_cast<double>(before[at].nodes + counts[label] - both);
      likenesses.push_back({static_cast<double>(both) / either, label, at});
    }
  }
  std::sort(likenesses.begin(), likenesses.end(), [](const Likeness& a, const Likeness& b) {
    return std::tie(b.share, a.label, a.at) < std::tie(a.share, b.label, b.at);
  });
  Overlays overlays;
  std::vector<bool> taken(counts.size(), false);
  std::vector<bool> named(before.size(), false);
  for (const Likeness& likeness : likenesses) {
    if (taken[likeness.label] || named[likeness.at]) continue;
    taken[likeness.label] = named[likeness.at] = true;
    overlays.push_back(before[likeness.at]);
    overlays.back().label = likeness.label;
  }
  std::sort(overlays.begin(), overlays.end(), [](const Overlay& a, const Overlay& b) { return a.label < b.label; });
  return overlays;
}

}  // namespace vdb
