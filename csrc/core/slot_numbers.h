// New numbers for the slots of a table that gave up those of its dead rows: new_slot_of[slot] rises with the slot, and
// is kAbsentSlot for a slot that is dropped.
#pragma once

#include <cstddef>
#include <span>

#include "core/slot.h"

namespace vdb {

// How many slots an index covers under the new numbers, below `slots`, that covers `covered` of the old: those up to
// the first it does not know. InvalidArgument where there are fewer numbers than that, or they do not rise, or one is
// not below `slots`.
std::size_t covered_after(std::span<const Slot> new_slot_of, std::size_t slots, std::size_t covered);

}  // namespace vdb
