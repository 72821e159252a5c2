#include "index/graph/bridges.h"

#include <doctest/doctest.h>

#include <vector>

#include "core/slot.h"

namespace vdb {
namespace {

// The distance of a slot is its number.
struct ByNumber {
  void measure(std::span<const Slot> slots, float* out) const {
    for (std::size_t i = 0; i < measured_room(slots.size()); ++i) out[i] = static_cast<float>(slots.data()[i]);
  }
};

std::vector<Slot> take_all(Bridges& bridges) {
  std::vector<Slot> taken;
  std::uint64_t measured = 0;
  for (;;) {
    const Slot slot = bridges.next(ByNumber{}, measured);
    if (slot == kAbsentSlot) return taken;
    taken.push_back(slot);
  }
}

TEST_CASE("bridges are taken nearest first, each once, those that came later among them") {
  Bridges bridges;
  bridges.reset(10);
  for (const Slot slot : {7U, 3U, 5U}) bridges.note(slot);
  std::uint64_t measured = 0;
  CHECK(bridges.next(ByNumber{}, measured) == 3);
  CHECK(measured == 3);
  bridges.note(4);
  CHECK(bridges.next(ByNumber{}, measured) == 4);
  CHECK(measured == 4);
  CHECK(take_all(bridges) == std::vector<Slot>{5, 7});
}

TEST_CASE("there is an end to bridges") {
  Bridges bridges;
  bridges.reset(4);
  std::size_t taken = 0;
  std::uint64_t measured = 0;
  for (Slot slot = 0; slot < 100; ++slot) {
    bridges.note(slot);
    taken += bridges.next(ByNumber{}, measured) != kAbsentSlot ? 1U : 0U;
  }
  CHECK(taken == 4);
  bridges.reset(4);
  CHECK(take_all(bridges).empty());
  bridges.note(8);
  CHECK(take_all(bridges) == std::vector<Slot>{8});
}

TEST_CASE("of too many nodes a spread sample waits") {
  Bridges bridges;
  bridges.reset(8);
  for (Slot slot = 0; slot < 64; ++slot) bridges.note(slot);
  CHECK(take_all(bridges) == std::vector<Slot>{0, 8, 16, 24, 32, 40, 48, 56});
}

}  // namespace
}  // namespace vdb
