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

  void insert(Neighbor candidate) {
    const bool room = entries_.size() < capacity_;
    if (!room && !(candidate.distance < entries_.back().neighbor.distance)) return;
    entries_.push_back({candidate, false});
    std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.neighbor < b.neighbor; });
    if (entries_.size() > capacity_) entries_.pop_back();
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
    Neighbor neighbor;
    bool expanded;
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
        model.insert(candidate);
        wrong += content(pool) == model.content() ? 0U : 1U;
      }
      while (pool.has_next()) wrong += pop(pool) == model.pop() ? 0U : 1U;
      CHECK(wrong == 0);
      CHECK_FALSE(model.pop().has_value());
    }
  }
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
