#include "index/label/members.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/check.h"

namespace vdb {
namespace {

// Lists are packed, which looks at every slot, once they waste an entry for so many.
constexpr std::size_t kSlotsPerUnused = 8;

bool is_among(std::span<const std::uint32_t> labels, std::uint32_t label) noexcept {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

}  // namespace

std::vector<MemberChange> LabelMembers::update(std::span<const Slot> slots, const Memberships& memberships,
                                               const RowSet& alive) {
  std::vector<MemberChange> changes;
  take_alive(alive, changes);
  if (of_slot_.size() < alive.size()) of_slot_.resize(alive.size(), kNone);
  std::vector<std::uint32_t> before;
  std::vector<std::uint32_t> after;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Slot slot = slots[i];
    before.assign(of(slot).begin(), of(slot).end());
    after.clear();
    for (const std::uint32_t label : memberships.of(i)) {
      if (!is_among(after, label)) after.push_back(label);
    }
    if (before == after) continue;
    store(slot, after);
    if (!alive_.contains(slot)) continue;
    for (const std::uint32_t label : before) {
      if (!is_among(after, label)) note(changes, {slot, label, false});
    }
    for (const std::uint32_t label : after) {
      if (!is_among(before, label)) note(changes, {slot, label, true});
    }
  }
  return changes;
}

// Rows that died lose the labels they had; one that is alive again, as after a call without some, gains them.
void LabelMembers::take_alive(const RowSet& alive, std::vector<MemberChange>& changes) {
  const std::span<const RowSet::Word> before = alive_.words();
  const std::span<const RowSet::Word> after = alive.words();
  for (std::size_t w = 0; w < after.size(); ++w) {
    RowSet::Word differ = (w < before.size() ? before[w] : 0) ^ after[w];
    for (; differ != 0; differ &= differ - 1) {
      const auto slot = static_cast<Slot>(w * RowSet::kWordBits + static_cast<std::size_t>(std::countr_zero(differ)));
      if (slot >= slots()) break;
      for (const std::uint32_t label : of(slot)) note(changes, {slot, label, alive.contains(slot)});
    }
  }
  alive_ = alive;
}

void LabelMembers::note(std::vector<MemberChange>& changes, const MemberChange& change) {
  if (counts_.size() <= change.label) counts_.resize(change.label + std::size_t{1}, 0);
  counts_[change.label] += change.gained ? 1 : std::size_t{0} - 1;
  changes.push_back(change);
}

std::span<const std::uint32_t> LabelMembers::of(Slot slot) const noexcept {
  const std::uint32_t& held = of_slot_[slot];
  if (held == kNone) return {};
  if ((held & kListed) == 0) return {&held, 1};
  const std::uint32_t* const list = lists_.data() + (held & ~kListed);
  return {list + 1, list[0]};
}

bool LabelMembers::has(Slot slot, std::uint32_t label) const noexcept {
  return slot < slots() && alive_.contains(slot) && is_among(of(slot), label);
}

void LabelMembers::store(Slot slot, std::span<const std::uint32_t> labels) {
  if ((of_slot_[slot] & kListed) != 0) unused_ += of(slot).size() + 1;
  if (labels.size() < 2) {
    of_slot_[slot] = labels.empty() ? kNone : labels.front();
    return;
  }
  of_slot_[slot] = kNone;
  if (2 * unused_ > lists_.size() && unused_ > slots() / kSlotsPerUnused) pack_lists();
  VDB_CHECK(lists_.size() < kListed, "overlays know at most 2147483648 labels of rows that have several");
  of_slot_[slot] = kListed | static_cast<std::uint32_t>(lists_.size());
  lists_.push_back(static_cast<std::uint32_t>(labels.size()));
  lists_.insert(lists_.end(), labels.begin(), labels.end());
}

void LabelMembers::pack_lists() {
  std::vector<std::uint32_t> packed;
  packed.reserve(lists_.size());
  for (std::size_t slot = 0; slot < slots(); ++slot) {
    if ((of_slot_[slot] & kListed) == 0) continue;
    const std::span<const std::uint32_t> labels = of(static_cast<Slot>(slot));
    of_slot_[slot] = kListed | static_cast<std::uint32_t>(packed.size());
    packed.push_back(static_cast<std::uint32_t>(labels.size()));
    packed.insert(packed.end(), labels.begin(), labels.end());
  }
  lists_ = std::move(packed);
  unused_ = 0;
}

std::size_t LabelMembers::memory_bytes() const noexcept {
  return (of_slot_.capacity() + lists_.capacity()) * sizeof(std::uint32_t) + counts_.capacity() * sizeof(std::size_t) +
         alive_.words().size() * sizeof(RowSet::Word);
}

}  // namespace vdb
