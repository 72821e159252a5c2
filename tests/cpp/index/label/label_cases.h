// Rows with labels for the tests of overlays, and one call of their search.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>
#include <vector>

#include "answer.h"
#include "index/label/label_graph.h"
#include "index/label/plan.h"

namespace vdb::testing {

using Lists = std::vector<std::vector<std::uint32_t>>;  // the labels of each slot

// Every label has its own share of the rows, independently of the others and of the vectors; 9 is on every row.
inline Lists make_lists(std::size_t n, std::uint64_t seed) {
  const double shares[] = {0.4, 0.25, 0.15, 0.01};
  Random random(seed);
  Lists lists(n);
  for (auto& list : lists) {
    list.push_back(9);
    for (std::uint32_t label = 0; label < std::size(shares); ++label) {
      if (random.unit() < shares[label]) list.push_back(label);
    }
  }
  return lists;
}

// The same as arrays.
struct FlatLists {
  explicit FlatLists(const Lists& lists) : offsets{0} {
    for (const auto& list : lists) {
      slots.push_back(static_cast<Slot>(slots.size()));
      labels.insert(labels.end(), list.begin(), list.end());
      offsets.push_back(labels.size());
    }
  }
  // Those of some slots.
  FlatLists(const Lists& lists, const std::vector<Slot>& some) : slots(some), offsets{0} {
    for (const Slot slot : some) {
      labels.insert(labels.end(), lists[slot].begin(), lists[slot].end());
      offsets.push_back(labels.size());
    }
  }
  Memberships view() const { return {offsets, labels}; }

  std::vector<Slot> slots;
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint32_t> labels;
};

inline bool has(const std::vector<std::uint32_t>& list, std::uint32_t label) {
  return std::find(list.begin(), list.end(), label) != list.end();
}

// The rows that have any of `labels`, of the first `n`.
inline RowSet with_any(const Lists& lists, const std::vector<std::uint32_t>& labels, std::size_t n) {
  std::vector<Slot> slots;
  for (std::size_t slot = 0; slot < n; ++slot) {
    for (const std::uint32_t label : labels) {
      if (has(lists[slot], label)) slots.push_back(static_cast<Slot>(slot));
    }
  }
  return RowSet::from_slots(slots, n);
}

// A label graph brought up to the first `n` rows, as many as there are lists, told of all; after a load as a `whole`.
inline void extend(LabelGraph& graph, const Vectors& vectors, const Lists& lists, const RowSet* rows = nullptr,
                   std::size_t threads = 1, bool whole = false) {
  const FlatLists flat(lists);
  CancelToken token;
  graph.extend(vectors.first(lists.size()), {flat.slots, flat.view(), whole, rows, threads, &token, {}, nullptr});
}

struct LabelAsk {
  std::vector<std::uint32_t> labels;
  std::size_t ef = 80;
  std::size_t pool = 0;
  std::uint64_t budget = 0;
  std::size_t limit = kMaxSlots;
  const CodeStore* codes = nullptr;
};

inline Answer search_labels(LabelGraph& graph, const VectorView& view, const Vectors& queries, const LabelAsk& how,
                            const Ask& ask = {}) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  const LabelSearch search{how.labels, how.ef, how.pool, how.budget, how.limit, how.codes};
  answer.stats = graph.search(view, batch, search, {answer.slots.data(), answer.distances.data()});
  return answer;
}

// How many answers hold a row that is not in `rows`, or one row twice.
inline std::size_t wrong_rows(const Answer& answer, const RowSet& rows) {
  std::size_t wrong = 0;
  for (std::size_t q = 0; q * answer.k < answer.slots.size(); ++q) {
    const std::vector<Slot> found = answer.found(q);
    const std::set<Slot> different(found.begin(), found.end());
    bool sound = different.size() == found.size();
    for (const Slot slot : found) sound = sound && rows.contains(slot);
    wrong += sound ? 0U : 1U;
  }
  return wrong;
}

}  // namespace vdb::testing
