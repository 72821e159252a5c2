#include "core/slot_numbers.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/check.h"

namespace vdb {

std::size_t covered_after(std::span<const Slot> new_slot_of, std::size_t slots, std::size_t covered) {
  VDB_CHECK(new_slot_of.size() >= covered, "numbers for " + std::to_string(new_slot_of.size()) +
                                               " slots, the index covers " + std::to_string(covered));
  VDB_CHECK(slots <= kMaxSlots, "an index covers at most 2147483647 slots, got " + std::to_string(slots));
  std::uint64_t least = 0;
  for (std::size_t slot = 0; slot < new_slot_of.size(); ++slot) {
    const Slot number = new_slot_of[slot];
    if (number == kAbsentSlot) continue;
    VDB_CHECK(number >= least && number < slots, "slot " + std::to_string(slot) + " becomes " + std::to_string(number) +
                                                     ", expected a number from " + std::to_string(least) +
                                                     " to below " + std::to_string(slots));
    least = std::uint64_t{number} + 1;
  }
  // Rows that the index did not cover are not covered under their new numbers.
  const auto beyond = new_slot_of.subspan(covered);
  const auto first = std::find_if(beyond.begin(), beyond.end(), [](Slot number) { return number != kAbsentSlot; });
  return first == beyond.end() ? slots : *first;
}

}  // namespace vdb
