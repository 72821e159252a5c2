// One call of a search with its outputs, and the two questions tests ask about them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/cancel.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "data.h"
#include "index/flat/scan.h"
#include "index/hnsw/hnsw.h"

namespace vdb::testing {

struct Ask {
  std::size_t k = 10;
  const RowSet* rows = nullptr;
  std::size_t threads = 1;
};

struct Answer {
  Answer(std::size_t nq, std::size_t its_k) : k(its_k), slots(nq * k), distances(nq * k) {}

  // Slots of one query without the padding.
  std::vector<Slot> found(std::size_t query) const {
    const auto begin = slots.begin() + static_cast<std::ptrdiff_t>(query * k);
    return {begin, std::find(begin, begin + static_cast<std::ptrdiff_t>(k), kAbsentSlot)};
  }
  friend bool operator==(const Answer& a, const Answer& b) { return a.slots == b.slots && a.distances == b.distances; }

  std::size_t k;
  std::vector<Slot> slots;
  std::vector<float> distances;
  SearchStats stats;
};

// `queries` are Vectors or StoredVectors of the dtype of the view.
template <class Queries>
Answer scan_all(const VectorView& view, const Queries& queries, const Ask& ask, std::size_t begin = 0) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  answer.stats = scan(view, batch, begin, {answer.slots.data(), answer.distances.data()});
  return answer;
}

template <class Queries>
Answer search_graph(Hnsw& graph, const VectorView& view, const Queries& queries, const Ask& ask,
                    const HnswSearch& how) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  answer.stats = graph.search(view, batch, how, {answer.slots.data(), answer.distances.data()});
  return answer;
}

inline HnswSearch with_ef(std::size_t ef) { return {ef, 0, 0, kMaxSlots}; }

// The share of `truth` that `answer` found.
inline double recall(const Answer& answer, const Answer& truth) {
  std::size_t hits = 0;
  std::size_t wanted = 0;
  for (std::size_t q = 0; q * truth.k < truth.slots.size(); ++q) {
    const std::vector<Slot> found = answer.found(q);
    for (const Slot slot : truth.found(q)) {
      ++wanted;
      hits += std::find(found.begin(), found.end(), slot) != found.end() ? 1U : 0U;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(wanted);
}

inline void extend(Hnsw& graph, const VectorView& view, std::size_t threads = 1, const RowSet* rows = nullptr) {
  CancelToken token;
  graph.extend(view, {rows, threads, &token, {}});
}

}  // namespace vdb::testing
