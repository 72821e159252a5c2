#include "index/graph/candidate_pool.h"

#include <doctest/doctest.h>

#include <limits>
#include <optional>

#include "data.h"

namespace vdb {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// What a pool should do, in the plainest way: a list that is sorted and cut after every insertion.
class Model {
 public:
  explicit Model(std::size_t capacity) : capacity_(capacity) {}

  void insert(const std::vector<Neighbor>& candidates) {
    const bool room = entries_.size() < capacity_;
    const float last = room ? kInfinity : entries_.back().neighbor.distance;
    for (const Neighbor& candidate : candidates) {
      if (room || candidate.distance < last) entries_.push_back({candidate, false});
    }
    std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.neighbor < b.neighbor; });
    if (entries_.size() > capacity_) entries_.resize(capacity_);
  }

  std::optional<Neighbor> pop() {
    for (Entry& entry : entries_) {
      if (!entry.expanded) {
        entry.expanded = true;
        return entry.neighbor;
      }
    }
    return std::nullopt;
  }

  std::vector<Neighbor> content() const {
    std::vector<Neighbor> neighbors;
    for (const Entry& entry : entries_) neighbors.push_back(entry.neighbor);
    return neighbors;
  }

 private:
  struct Entry {
    Neighbor neighbor{};
    bool expanded = false;
  };
  std::size_t capacity_;
  std::vector<Entry> entries_;
};

std::vector<Neighbor> content(const CandidatePool& pool) {
  std::vector<Neighbor> neighbors;
  for (std::size_t i = 0; i < pool.size(); ++i) neighbors.push_back(pool[i]);
  return neighbors;
}

std::optional<Neighbor> pop(CandidatePool& pool) {
  if (!pool.has_next()) return std::nullopt;
  const Neighbor peeked = pool.peek();
  const Neighbor popped = pool.pop();
  CHECK((peeked == popped));
  return popped;
}

TEST_CASE("a pool does what a sorted list does, ties and infinities included") {
  CandidatePool pool;  // one for all rounds: reset must leave nothing behind
  for (const std::size_t capacity : {1U, 2U, 3U, 17U, 100U}) {
    for (const std::size_t distinct : {1U, 4U, 1000U}) {
      testing::Random random(capacity * 7 + distinct);
      pool.reset(capacity);
      Model model(capacity);
      std::size_t wrong = 0;
      for (int step = 0; step < 500; ++step) {
        if (random.below(3) == 0) {
          wrong += pop(pool) == model.pop() ? 0U : 1U;
          continue;
        }
        const std::size_t drawn = random.below(distinct + 1);
        const float distance = drawn == distinct ? kInfinity : static_cast<float>(drawn);
        // Every slot is offered at most once, in no order, up to the largest there can be.
        const Neighbor candidate{distance, static_cast<Slot>(kMaxSlots - 1) - static_cast<Slot>((step * 7919) % 500)};
        pool.insert(candidate);
        model.insert({candidate});
        wrong += content(pool) == model.content() ? 0U : 1U;
      }
      while (pool.has_next()) wrong += pop(pool) == model.pop() ? 0U : 1U;
      CHECK(wrong == 0);
      CHECK_FALSE(model.pop().has_value());
    }
  }
}

TEST_CASE("candidates inserted at once end where a sorted list has them, however many come, ties and signs included") {
  CandidatePool pool;
  for (const std::size_t capacity : {1U, 2U, 17U, 100U, 400U}) {
    for (const std::size_t distinct : {1U, 3U, 10'000U}) {
      for (const std::size_t most : {1U, 5U, 32U, 33U, 150U}) {
        testing::Random random(capacity * 31 + distinct * 7 + most);
        pool.reset(capacity);
        Model model(capacity);
        Slot next = 0;
        std::size_t wrong = 0;
        for (int hop = 0; hop < 40; ++hop) {
          std::vector<Neighbor> candidates(random.below(most + 1));
          for (Neighbor& candidate : candidates) {
            const float magnitude = static_cast<float>(random.below(distinct)) / 16;
            const std::size_t drawn = random.below(16);
            const float distance = drawn == 0 ? kInfinity : drawn < 8 ? -magnitude : magnitude;
            candidate = {distance, (next++ * 7919) % 6007};
          }
          std::vector<Slot> slots;
          std::vector<float> distances;
          for (const Neighbor& candidate : candidates) {
            slots.push_back(candidate.slot);
            distances.push_back(candidate.distance);
          }
          pool.insert(slots, distances.data());
          model.insert(candidates);
          wrong += content(pool) == model.content() ? 0U : 1U;
          for (std::size_t pops = random.below(3); pops > 0; --pops) wrong += pop(pool) == model.pop() ? 0U : 1U;
        }
        while (pool.has_next()) wrong += pop(pool) == model.pop() ? 0U : 1U;
        CHECK(wrong == 0);
        CHECK_FALSE(model.pop().has_value());
      }
    }
  }
}

TEST_CASE("the two zeros are a tie, and the order of the rest is that of the numbers") {
  CandidatePool pool;
  pool.reset(8);
  const std::vector<Slot> slots{5, 4, 3, 2, 1, 0};
  const std::vector<float> distances{-kInfinity, 0.0F, -0.0F, 1e-45F, -1e-45F, std::numeric_limits<float>::max()};
  pool.insert(slots, distances.data());
  CHECK((content(pool) ==
         std::vector<Neighbor>{
             {-kInfinity, 5}, {-1e-45F, 1}, {0, 3}, {0, 4}, {1e-45F, 2}, {std::numeric_limits<float>::max(), 0}}));
}

TEST_CASE("a pool accepts anything while it has room and only nearer ones after") {
  CandidatePool pool;
  pool.reset(2);
  CHECK(pool.accepts(kInfinity));
  pool.insert({kInfinity, 1});
  CHECK(pool.accepts(kInfinity));
  pool.insert({5, 2});
  CHECK_FALSE(pool.accepts(kInfinity));
  CHECK(pool.accepts(6));
  pool.insert({6, 3});
  CHECK_FALSE(pool.accepts(6));
  CHECK(pool.accepts(5.5F));
  CHECK((content(pool) == std::vector<Neighbor>{{5, 2}, {6, 3}}));
}

TEST_CASE("a candidate nearer than all expanded ones is expanded next") {
  CandidatePool pool;
  pool.reset(4);
  pool.insert({2, 2});
  pool.insert({3, 3});
  CHECK(pool.pop().slot == 2);
  pool.insert({1, 1});
  CHECK(pool.pop().slot == 1);
  CHECK(pool.pop().slot == 3);
  CHECK_FALSE(pool.has_next());
}

TEST_CASE("a pool that sets aside has after each widening what one as wide from the start would, expanded but once") {
  CandidatePool pool;
  for (const std::size_t seed : {1U, 2U, 3U}) {
    testing::Random random(seed);
    std::size_t capacity = 3;
    pool.reset(capacity, CandidatePool::Rest::kSetAside);
    std::vector<Neighbor> all;
    std::vector<Slot> popped;
    Slot next = 0;
    for (int step = 0; step < 300; ++step) {
      std::vector<Slot> slots;
      std::vector<float> distances;
      for (std::size_t count = random.below(12); count > 0; --count) {
        slots.push_back(next);
        distances.push_back(static_cast<float>((std::size_t{next++} * 7919) % 10'007));  // no two the same
        all.push_back({distances.back(), slots.back()});
      }
      pool.insert(slots, distances.data());
      for (std::size_t pops = random.below(4); pops > 0 && pool.has_next(); --pops) popped.push_back(pool.pop().slot);
      if (random.below(8) == 0) pool.widen(capacity += random.below(40));
      std::vector<Neighbor> nearest = all;
      std::sort(nearest.begin(), nearest.end());
      nearest.resize(std::min(capacity, nearest.size()));
      REQUIRE((content(pool) == nearest));
    }
    pool.widen(all.size());
    while (pool.has_next()) popped.push_back(pool.pop().slot);
    std::sort(popped.begin(), popped.end());
    REQUIRE(popped.size() == all.size());
    for (Slot slot = 0; slot < popped.size(); ++slot) CHECK(popped[slot] == slot);
  }
}

TEST_CASE("a reset empties the pool and may make it smaller") {
  CandidatePool pool;
  pool.reset(8);
  for (Slot slot = 0; slot < 8; ++slot) pool.insert({static_cast<float>(slot), slot});
  pool.reset(1);
  CHECK(pool.size() == 0);
  CHECK_FALSE(pool.has_next());
  pool.insert({9, 9});
  pool.insert({4, 4});
  CHECK((content(pool) == std::vector<Neighbor>{{4, 4}}));
}

}  // namespace
}  // namespace vdb
