#include "core/sorted_slots.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Random;
using Key = SortedSlots::Key;

constexpr Key kLeast = std::numeric_limits<Key>::min();
constexpr Key kMost = std::numeric_limits<Key>::max();

struct Entry {
  Key key;
  Slot slot;
};

// Each of the first `n` slots once, in no order, with keys below `keys`: many are equal where there are few.
std::vector<Entry> entries(std::size_t n, std::size_t keys, std::uint64_t seed) {
  Random random(seed);
  std::vector<Entry> made(n);
  for (std::size_t i = 0; i < n; ++i) made[i] = {static_cast<Key>(random.below(keys)), static_cast<Slot>(i)};
  for (std::size_t i = n; i > 1; --i) std::swap(made[i - 1].slot, made[random.below(i)].slot);
  std::ranges::stable_sort(made, {}, &Entry::key);
  return made;
}

SortedSlots sorted(const std::vector<Entry>& entries, std::size_t size) {
  std::vector<Key> keys;
  std::vector<Slot> slots;
  for (const Entry& entry : entries) {
    keys.push_back(entry.key);
    slots.push_back(entry.slot);
  }
  return {std::move(keys), std::move(slots), size};
}

template <class Wanted>
RowSet oracle(const std::vector<Entry>& entries, std::size_t size, Wanted&& wanted) {
  std::vector<Slot> slots;
  for (const Entry& entry : entries) {
    if (wanted(entry.key)) slots.push_back(entry.slot);
  }
  return RowSet::from_slots(slots, size);
}

TEST_CASE("a span of keys is the slots that have them, whatever prefixes stand for it") {
  constexpr std::size_t kMore = 70;  // slots that came after
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{1}, std::size_t{2048}, std::size_t{2049}, std::size_t{5000}, std::size_t{50'000}}) {
    CAPTURE(n);
    const std::vector<Entry> made = entries(n, n + 1, n);
    const SortedSlots slots = sorted(made, n);
    CHECK(slots.length() == n);
    Random random(n);
    for (int round = 0; round < 40; ++round) {
      const Key low = static_cast<Key>(random.below(n + 2)) - 1;
      const Key high = low + static_cast<Key>(random.below(round % 2 == 0 ? n + 2 : 3));
      const auto within = [&](Key key) { return low <= key && key <= high; };
      CHECK(slots.between(low, high, n + kMore) == oracle(made, n + kMore, within));
      CHECK(slots.count_between(low, high) ==
            static_cast<std::size_t>(std::ranges::count_if(made, within, &Entry::key)));
    }
    CHECK(slots.between(kLeast, kMost, n) == RowSet::all(n));
    CHECK(slots.between(5, 4, n) == RowSet::none(n));
    CHECK(slots.count_between(kMost, kLeast) == 0);
  }
}

TEST_CASE("every span of places next to a prefix is right") {
  constexpr std::size_t kSize = 3 * 2048 + 5;
  const std::vector<Entry> made = entries(kSize, kSize * 8, 3);  // keys are mostly different
  const SortedSlots slots = sorted(made, kSize);
  std::size_t wrong = 0;
  const std::array<std::size_t, 15> places{0,    1,    511,  512,  513,  1023, 1024,     1025,
                                           1535, 1536, 2048, 2049, 3072, 4097, kSize - 1};
  for (const std::size_t begin : places) {
    for (const std::size_t end : places) {
      const Key low = made[begin].key;
      const Key high = made[end].key;
      const auto within = [&](Key key) { return low <= key && key <= high; };
      wrong += slots.between(low, high, kSize) == oracle(made, kSize, within) ? 0U : 1U;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("slots of equal keys, and the slots of any of some keys") {
  constexpr std::size_t kSize = 10'000;
  const std::vector<Entry> made = entries(kSize, 12, 7);
  const SortedSlots slots = sorted(made, kSize);
  CHECK(slots.between(3, 3, kSize) == oracle(made, kSize, [](Key key) { return key == 3; }));
  const std::vector<Key> keys{7, 2, 2, 99, -1};
  CHECK(slots.any_of(keys, kSize) == oracle(made, kSize, [](Key key) { return key == 7 || key == 2; }));
  CHECK(slots.any_of({}, kSize) == RowSet::none(kSize));
}

TEST_CASE("a slot may come under several keys") {
  constexpr std::size_t kSize = 9000;
  std::vector<Entry> made;
  for (Key key = 0; key < 4; ++key) {
    for (Slot slot = 0; slot < kSize; slot += static_cast<Slot>(key + 1)) made.push_back({key, slot});
  }
  const SortedSlots slots = sorted(made, kSize);
  CHECK(slots.between(1, 1, kSize) == oracle(made, kSize, [](Key key) { return key == 1; }));
  CHECK(slots.between(1, 3, kSize) == oracle(made, kSize, [](Key key) { return key >= 1; }));
  CHECK(slots.between(0, 3, kSize) == RowSet::all(kSize));
}

TEST_CASE("keys that descend, slots outside and sizes that shrink are refused") {
  CHECK_THROWS_AS(SortedSlots({2, 1}, {0, 1}, 2), InvalidArgument);
  CHECK_THROWS_AS(SortedSlots({1}, {0, 1}, 2), InvalidArgument);
  CHECK_THROWS_WITH_AS(SortedSlots({1, 1}, {0, 2}, 2), "slot 2 is not below 2", InvalidArgument);
  const SortedSlots slots({1, 2}, {1, 0}, 2);
  CHECK_THROWS_AS(static_cast<void>(slots.between(1, 2, 1)), InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(slots.any_of(std::array<Key, 1>{1}, 1)), InvalidArgument);
}

TEST_CASE("words become a row set where they are one") {
  CHECK(RowSet::from_words({5}, 3) == RowSet::from_slots(std::array<Slot, 2>{0, 2}, 3));
  CHECK(RowSet::from_words({}, 0) == RowSet());
  CHECK_THROWS_AS(RowSet::from_words({8}, 3), InvalidArgument);
  CHECK_THROWS_AS(RowSet::from_words({0, 0}, 64), InvalidArgument);
  CHECK_THROWS_AS(RowSet::from_words({}, 1), InvalidArgument);
}

}  // namespace
}  // namespace vdb
