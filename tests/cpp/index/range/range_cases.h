// A table ordered by a key, its range graph, and the exact answer within a range.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "answer.h"
#include "data.h"
#include "index/range/range.h"

namespace vdb::testing {

using Keys = std::vector<std::int64_t>;

struct KeyRange {
  std::int64_t low;
  std::int64_t high;
};

// Keys in no order, each about `repeats` times, negative ones too.
inline Keys random_keys(std::size_t n, std::size_t repeats, std::uint64_t seed) {
  Random random(seed);
  Keys keys(n);
  const std::size_t different = std::max<std::size_t>(n / repeats, 1);
  for (auto& key : keys) key = static_cast<std::int64_t>(random.below(different)) - static_cast<std::int64_t>(n) / 3;
  return keys;
}

// The range of about `size` rows in the middle of the order, at least one.
inline KeyRange middle(const Keys& keys, std::size_t size) {
  Keys sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t begin = (sorted.size() - size) / 2;
  return {sorted[begin], sorted[begin + std::max<std::size_t>(size, 1) - 1]};
}

inline RowSet rows_in(const Keys& keys, const KeyRange& range) {
  std::vector<Slot> slots;
  for (std::size_t slot = 0; slot < keys.size(); ++slot) {
    if (keys[slot] >= range.low && keys[slot] <= range.high) slots.push_back(static_cast<Slot>(slot));
  }
  return RowSet::from_slots(slots, keys.size());
}

// The graph brought up to the rows of the view, told of all; how many it linked.
inline std::size_t extend(RangeGraph& graph, const VectorView& view, const Keys& keys, std::size_t threads = 1,
                          const RowSet* rows = nullptr, const CodeStore* codes = nullptr) {
  CancelToken token;
  std::vector<Slot> slots(view.n);
  std::iota(slots.begin(), slots.end(), 0U);
  return graph.extend(view, {rows, slots, std::span(keys).first(view.n), false, codes, threads, &token, {}});
}

// The same, told of some rows only, or of other keys of all that have one.
inline std::size_t extend_by(RangeGraph& graph, const VectorView& view, const Keys& keys,
                             const std::vector<Slot>& slots, bool whole = false) {
  CancelToken token;
  Keys given;
  for (const Slot slot : slots) given.push_back(keys[slot]);
  return graph.extend(view, {nullptr, slots, given, whole, nullptr, 1, &token, {}});
}

inline RangeSearch within(const KeyRange& range, std::size_t ef) {
  return {ef, 0, 0, kMaxSlots, range.low, range.high, nullptr};
}

template <class Queries>
Answer search_range(RangeGraph& graph, const VectorView& view, const Queries& queries, const Ask& ask,
                    const RangeSearch& how) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  answer.stats = graph.search(view, batch, how, {answer.slots.data(), answer.distances.data()});
  return answer;
}

// What is wrong with an answer beside the exact one: slots that are not allowed, twice there, out of order, at another
// distance than their own, or fewer than there are. `truth` has all rows that are allowed, nearest first.
inline std::size_t count_wrong(const Answer& answer, const Answer& truth) {
  std::size_t wrong = 0;
  for (std::size_t q = 0; q * answer.k < answer.slots.size(); ++q) {
    const std::vector<Slot> found = answer.found(q);
    const std::vector<Slot> allowed = truth.found(q);
    wrong += found.size() == std::min(answer.k, allowed.size()) ? 0U : 1U;
    float last = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < found.size(); ++i) {
      const auto at = std::find(allowed.begin(), allowed.end(), found[i]);
      const float distance = answer.distances[q * answer.k + i];
      wrong += at == allowed.end() || distance < last ||
                       distance != truth.distances[q * truth.k + static_cast<std::size_t>(at - allowed.begin())] ||
                       std::count(found.begin(), found.end(), found[i]) != 1
                   ? 1U
                   : 0U;
      last = distance;
    }
  }
  return wrong;
}

}  // namespace vdb::testing
