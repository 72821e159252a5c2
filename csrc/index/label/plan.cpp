#include "index/label/plan.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace vdb {
namespace {

// A label of more than 3/4 of the rows gets no overlay: a walk of the main graph, which goes through all rows and keeps
// those that have the label, takes 1/share of the work, so there is at most a third of it to save. Where every label is
// to have one (min_rows is 1), there may be no main graph.
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

// The first overlay of a label, where there is one; of two the second is behind it.
template <class Held>
auto first_of(Held& held, std::uint32_t label) {
  return std::lower_bound(held.begin(), held.end(), label,
                          [](const HeldOverlay& each, std::uint32_t wanted) { return each.overlay.label < wanted; });
}

bool is_held(const HeldOverlays& held, std::uint32_t label) {
  const auto at = first_of(held, label);
  return at != held.end() && at->overlay.label == label;
}

void sort_by_label(HeldOverlays& held) {
  std::sort(held.begin(), held.end(), [](const HeldOverlay& a, const HeldOverlay& b) {
    return std::tie(a.overlay.label, a.overlay.number) < std::tie(b.overlay.label, b.overlay.number);
  });
}

// The labels of some changes and `more`, each once.
std::vector<std::uint32_t> touched(std::span<const MemberChange> changes, std::vector<std::uint32_t> more) {
  for (const MemberChange& change : changes) {
    if (more.empty() || more.back() != change.label) more.push_back(change.label);
  }
  std::sort(more.begin(), more.end());
  more.erase(std::unique(more.begin(), more.end()), more.end());
  return more;
}

}  // namespace

void check_memberships(const Memberships& memberships, std::span<const Slot> slots, std::size_t n) {
  for (std::size_t i = 0; i < slots.size(); ++i) {
    VDB_CHECK(slots[i] < n && (i == 0 || slots[i - 1] < slots[i]), "slots must ascend below " + std::to_string(n) +
                                                                       ", got " + std::to_string(slots[i]) + " at " +
                                                                       std::to_string(i));
  }
  const std::span<const std::uint64_t> offsets = memberships.offsets;
  VDB_CHECK(offsets.size() == slots.size() + 1, "there are " + std::to_string(offsets.size()) +
                                                    " offsets of labels, expected " + std::to_string(slots.size() + 1));
  VDB_CHECK(offsets.front() == 0 && offsets.back() == memberships.labels.size() &&
                std::is_sorted(offsets.begin(), offsets.end()),
            "the offsets of labels must rise from 0 to " + std::to_string(memberships.labels.size()));
  for (const std::uint32_t label : memberships.labels) {
    VDB_CHECK(label < kMaxLabels, "label " + std::to_string(label) + " is too large, expected numbers from 0 on");
  }
}

void LabelPlan::follow(std::span<const MemberChange> changes, HeldOverlays& held, std::vector<std::uint32_t>& frequent,
                       std::uint32_t& next_number) const {
  note(changes, held);
  drop_rare(held);
  const bool all = params_.min_rows == 1;
  const std::size_t most = all ? members_.alive() : members_.alive() / kGreatestShareOver * kGreatestShare;
  std::vector<std::uint32_t> begun;
  for (std::size_t at = 0; at < held.size(); ++at) {
    const bool replaced = at + 1 < held.size() && held[at + 1].overlay.label == held[at].overlay.label;
    if (held[at].complete && !replaced && is_worn(held[at])) begun.push_back(held[at].overlay.label);
  }
  const std::vector<std::uint32_t> asked = touched(changes, std::exchange(frequent, {}));
  for (const std::uint32_t label : asked) {
    if (members_.count(label) < params_.min_rows || is_held(held, label)) continue;
    (members_.count(label) <= most ? begun : frequent).push_back(label);
  }
  if (begun.empty()) return;
  const std::uint32_t first_number = next_number;
  std::sort(begun.begin(), begun.end());
  for (const std::uint32_t label : begun) held.push_back({{label, next_number++}});
  sort_by_label(held);
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < held.size(); ++at) {
    if (held[at].overlay.number >= first_number) places.push_back(at);
  }
  list_lacks(held, places);
}

void LabelPlan::note(std::span<const MemberChange> changes, HeldOverlays& held) const {
  for (const MemberChange& change : changes) {
    for (auto at = first_of(held, change.label); at != held.end() && at->overlay.label == change.label; ++at) {
      if (holds(at->overlay, change.slot)) {
        at->present += change.gained ? 1 : std::size_t{0} - 1;
      } else if (change.gained) {
        at->lacks.push_back(change.slot);
      }
    }
  }
}

// Those of labels that have too few rows, and those in the making of which too many nodes have died already.
void LabelPlan::drop_rare(HeldOverlays& held) const {
  const std::size_t least = std::max<std::size_t>(params_.min_rows / kKeptShareOver, 1);
  std::erase_if(held, [&](const HeldOverlay& each) {
    return members_.count(each.overlay.label) < least || (!each.complete && is_worn(each));
  });
}

bool LabelPlan::is_worn(const HeldOverlay& held) const {
  return held.overlay.nodes - held.present > held.overlay.nodes / kDeadShareOver;
}

// What overlays lack that have just begun, which is every row: by a look at all of them, once in many changes of one.
void LabelPlan::list_lacks(HeldOverlays& held, std::span<const std::size_t> begun) const {
  std::unordered_map<std::uint32_t, std::size_t> place_of;
  for (const std::size_t at : begun) place_of[held[at].overlay.label] = at;
  members_.for_each([&](Slot slot, std::uint32_t label) {
    if (const auto at = place_of.find(label); at != place_of.end()) held[at->second].lacks.push_back(slot);
  });
  for (const std::size_t at : begun) sort_lacks(held[at]);
}

void LabelPlan::sort_lacks(HeldOverlay& held) const {
  const auto place = [&](Slot slot) { return splitmix64(params_.seed ^ splitmix64(slot)); };
  std::sort(held.lacks.begin(), held.lacks.end(), [&](Slot a, Slot b) { return place(a) > place(b); });
}

HeldOverlays LabelPlan::relabelled(const HeldOverlays& before) const {
  std::unordered_map<std::uint32_t, std::size_t> position_of;  // by number
  for (std::size_t i = 0; i < before.size(); ++i) position_of[before[i].overlay.number] = i;
  std::vector<std::unordered_map<std::uint32_t, std::size_t>> shared(before.size());  // by label, rows of both
  members_.for_each([&](Slot slot, std::uint32_t label) {
    if (slot >= rows_.slots()) return;
    rows_.for_each_row(slot, [&](std::uint32_t, const OverlayRows::Link& link) {
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
      const auto either = static_cast<double>(before[at].overlay.nodes + members_.count(label) - both);
      likenesses.push_back({static_cast<double>(both) / either, label, at});
    }
  }
  std::sort(likenesses.begin(), likenesses.end(), [](const Likeness& a, const Likeness& b) {
    return std::tie(b.share, a.label, a.at) < std::tie(a.share, b.label, b.at);
  });
  HeldOverlays overlays;
  std::unordered_set<std::uint32_t> taken;
  std::vector<bool> named(before.size(), false);
  for (const Likeness& likeness : likenesses) {
    if (named[likeness.at] || !taken.insert(likeness.label).second) continue;
    named[likeness.at] = true;
    overlays.push_back({before[likeness.at].overlay, before[likeness.at].complete});
    overlays.back().overlay.label = likeness.label;
  }
  sort_by_label(overlays);
  return overlays;
}

}  // namespace vdb
