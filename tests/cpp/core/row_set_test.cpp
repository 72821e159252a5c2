#include "core/row_set.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "base/error.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Random;

// Sizes around the edges of a word.
constexpr std::size_t kSizes[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000};

std::set<Slot> some_slots(std::size_t size, double share, std::uint64_t seed) {
  Random random(seed);
  std::set<Slot> slots;
  for (std::size_t i = 0; i < size; ++i) {
    if (random.unit() < share) slots.insert(static_cast<Slot>(i));
  }
  return slots;
}

RowSet row_set(const std::set<Slot>& slots, std::size_t size) {
  return RowSet::from_slots(std::vector<Slot>(slots.begin(), slots.end()), size);
}

// Whether the row set says the same as the model, in each of its ways to say it.
bool agrees(const RowSet& rows, const std::set<Slot>& model, std::size_t size) {
  const std::vector<Slot> slots = rows.to_slots();
  bool same = rows.size() == size && rows.count() == model.size() && std::ranges::equal(slots, model);
  for (std::size_t i = 0; i < size; ++i) {
    const Slot slot = static_cast<Slot>(i);
    same = same && rows.contains(slot) == model.contains(slot);
  }
  std::size_t bits = 0;  // a bit at or above the size would be counted here
  for (const RowSet::Word word : rows.words()) bits += static_cast<std::size_t>(std::popcount(word));
  return same && bits == model.size() && rows == row_set(model, size);
}

TEST_CASE("all, none and ranges hold exactly their slots") {
  for (const std::size_t size : kSizes) {
    CAPTURE(size);
    CHECK(agrees(RowSet::none(size), {}, size));
    CHECK(agrees(RowSet::all(size), some_slots(size, 2, 0), size));
    for (const std::size_t begin : {std::size_t{0}, size / 3, size}) {
      for (const std::size_t end : {begin, (begin + size) / 2, size}) {
        std::set<Slot> model;
        for (std::size_t i = begin; i < end; ++i) model.insert(static_cast<Slot>(i));
        CHECK(agrees(RowSet::from_range(begin, end, size), model, size));
      }
    }
  }
}

TEST_CASE("a default row set is empty") {
  CHECK(agrees(RowSet(), {}, 0));
  CHECK(RowSet() == RowSet::none(0));
}

TEST_CASE("slots may come in any order and more than once") {
  const std::vector<Slot> slots{64, 3, 3, 0, 127, 64, 63};
  CHECK(agrees(RowSet::from_slots(slots, 128), {0, 3, 63, 64, 127}, 128));
}

TEST_CASE("bools of any truth value become slots") {
  for (const std::size_t size : kSizes) {
    const std::set<Slot> model = some_slots(size, 0.4, size);
    std::vector<std::uint8_t> bools(size);
    for (const Slot slot : model) bools[slot] = static_cast<std::uint8_t>(1 + slot % 255);
    CHECK(agrees(RowSet::from_bools(bools), model, size));
  }
}

TEST_CASE("the algebra is that of sets") {
  for (const std::size_t size : kSizes) {
    for (const double share : {0.0, 0.1, 0.5, 0.9, 2.0}) {
      CAPTURE(size);
      CAPTURE(share);
      const std::set<Slot> a = some_slots(size, share, 1);
      const std::set<Slot> b = some_slots(size, 0.5, 2);
      std::set<Slot> both;
      std::set<Slot> either;
      std::set<Slot> only_a;
      std::set<Slot> not_a;
      const std::set<Slot> all = some_slots(size, 2, 0);
      std::ranges::set_intersection(a, b, std::inserter(both, both.end()));
      std::ranges::set_union(a, b, std::inserter(either, either.end()));
      std::ranges::set_difference(a, b, std::inserter(only_a, only_a.end()));
      std::ranges::set_difference(all, a, std::inserter(not_a, not_a.end()));
      CHECK(agrees(row_set(a, size) & row_set(b, size), both, size));
      CHECK(agrees(row_set(a, size) | row_set(b, size), either, size));
      CHECK(agrees(row_set(a, size) - row_set(b, size), only_a, size));
      CHECK(agrees(~row_set(a, size), not_a, size));
      CHECK(agrees(~~row_set(a, size), a, size));
    }
  }
}

TEST_CASE("row sets differ by a slot and by their size") {
  const RowSet one = RowSet::from_range(0, 1, 64);
  CHECK(one == RowSet::from_range(0, 1, 64));
  CHECK_FALSE(one == RowSet::from_range(1, 2, 64));
  CHECK_FALSE(one == RowSet::from_range(0, 1, 65));
}

TEST_CASE("resizing keeps what fits and fills as asked") {
  for (const std::size_t from : kSizes) {
    const std::set<Slot> before = some_slots(from, 0.5, from);
    for (const std::size_t to : kSizes) {
      CAPTURE(from);
      CAPTURE(to);
      std::set<Slot> kept;
      for (const Slot slot : before) {
        if (slot < to) kept.insert(slot);
      }
      std::set<Slot> filled = kept;
      for (std::size_t i = from; i < to; ++i) filled.insert(static_cast<Slot>(i));
      CHECK(agrees(row_set(before, from).resized(to, false), kept, to));
      CHECK(agrees(row_set(before, from).resized(to, true), filled, to));
    }
  }
}

TEST_CASE("for_each and list give the allowed slots of any range, ascending") {
  constexpr std::size_t kSize = 200;
  for (const double share : {0.05, 0.6, 2.0}) {  // words of few bits, of many and of all
    CAPTURE(share);
    const std::set<Slot> model = some_slots(kSize, share, 9);
    const RowSet rows = row_set(model, kSize);
    std::size_t wrong = 0;
    for (std::size_t begin = 0; begin <= kSize; ++begin) {
      for (std::size_t end = begin; end <= kSize; ++end) {
        std::vector<Slot> expected;
        for (const Slot slot : model) {
          if (slot >= begin && slot < end) expected.push_back(slot);
        }
        std::vector<Slot> visited;
        rows.for_each(begin, end, [&](Slot slot) { visited.push_back(slot); });
        std::vector<Slot> listed(expected.size() + RowSet::kListSlack);
        listed.resize(rows.list(begin, end, listed.data()));
        wrong += (visited != expected ? 1U : 0U) + (listed != expected ? 1U : 0U);
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("for_each visits nothing of a range that ends before it begins") {
  std::size_t visited = 0;
  RowSet::all(200).for_each(130, 70, [&](Slot) { ++visited; });
  CHECK(visited == 0);
}

// Long enough for many registers of the widest level and a rest.
TEST_CASE("large sets combine, count and list as sets do") {
  constexpr std::size_t kSize = 100'003;
  for (const double share : {0.001, 0.3, 0.99}) {
    CAPTURE(share);
    const std::set<Slot> a = some_slots(kSize, share, 4);
    const std::set<Slot> b = some_slots(kSize, 0.5, 5);
    std::set<Slot> both;
    std::ranges::set_intersection(a, b, std::inserter(both, both.end()));
    CHECK(agrees(row_set(a, kSize) & row_set(b, kSize), both, kSize));
    CHECK((row_set(a, kSize) - row_set(b, kSize)).count() == a.size() - both.size());
    CHECK((row_set(a, kSize) | row_set(b, kSize)).count() == a.size() + b.size() - both.size());
    CHECK((~row_set(a, kSize)).count() == kSize - a.size());
  }
}

TEST_CASE("sets of different sizes, slots outside and impossible ranges are refused") {
  CHECK_THROWS_AS(static_cast<void>(RowSet::all(3) & RowSet::all(4)), InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(RowSet::all(64) | RowSet::all(65)), InvalidArgument);
  CHECK_THROWS_AS(static_cast<void>(RowSet::all(3) - RowSet::all(4)), InvalidArgument);
  CHECK_THROWS_WITH_AS(RowSet::from_slots(std::vector<Slot>{1, 5}, 5), "slot 5 is not below 5", InvalidArgument);
  CHECK_THROWS_AS(RowSet::from_slots(std::vector<Slot>{kAbsentSlot}, 64), InvalidArgument);
  CHECK_THROWS_AS(RowSet::from_range(3, 2, 5), InvalidArgument);
  CHECK_THROWS_AS(RowSet::from_range(3, 6, 5), InvalidArgument);
  CHECK_THROWS_AS(RowSet::none(kMaxSlots + 1), InvalidArgument);
  CHECK_THROWS_AS(RowSet::all(3).resized(kMaxSlots + 1, false), InvalidArgument);
}

}  // namespace
}  // namespace vdb
