// Every kind of inverted file, and one call of each of its members.
#pragma once

#include <string>
#include <vector>

#include "answer.h"
#include "index/ivf/ivf.h"

namespace vdb::testing {

struct Kind {
  const char* name;
  IvfCodes codes;
  std::size_t m;
  std::size_t nbits;
  bool opq;
  std::size_t bits;

  IvfParams params(std::size_t dim, Metric metric, std::size_t nlist = 0) const {
    return {dim, metric, codes, nlist, m, nbits, opq, bits, 42};
  }
};

inline const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all{
      {"pq of 4 bits", IvfCodes::kPq, 0, 4, false, 1},         {"pq of 4 bits, m odd", IvfCodes::kPq, 5, 4, false, 1},
      {"pq of 8 bits, m odd", IvfCodes::kPq, 3, 8, false, 1},  {"opq", IvfCodes::kPq, 0, 4, true, 1},
      {"rabitq", IvfCodes::kRabitq, 0, 4, false, 1},           {"rabitq of 4 bits", IvfCodes::kRabitq, 0, 4, false, 4},
      {"rabitq of 8 bits", IvfCodes::kRabitq, 0, 4, false, 8},
  };
  return all;
}

inline void extend(Ivf& index, const VectorView& view, std::size_t threads = 1, const RowSet* rows = nullptr) {
  CancelToken token;
  index.extend(view, {rows, threads, &token, {}});
}

inline bool repair(Ivf& index, const VectorView& view, const RowSet& alive, std::size_t steps = kMaxSlots) {
  CancelToken token;
  return index.repair(view, {&alive, steps, &token});
}

inline constexpr std::size_t kAllRows = kMaxSlots;

inline IvfSearch probing(std::size_t nprobe, std::size_t pool = 0) { return {nprobe, pool, kMaxSlots}; }
inline IvfSearch reading_all() { return probing(kMaxSlots, kAllRows); }

template <class Queries>
Answer search_ivf(const Ivf& index, const VectorView& view, const Queries& queries, const Ask& ask,
                  const IvfSearch& how) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  answer.stats = index.search(view, batch, how, {answer.slots.data(), answer.distances.data()});
  return answer;
}

// Every `step`-th slot.
inline RowSet every(std::size_t step, std::size_t n) {
  std::vector<Slot> slots;
  for (std::size_t slot = 0; slot < n; slot += step) slots.push_back(static_cast<Slot>(slot));
  return RowSet::from_slots(slots, n);
}

inline std::vector<std::size_t> sizes_of(const Ivf& index) {
  std::vector<std::size_t> sizes;
  for (const auto& list : index.state()->lists) sizes.push_back(list->rows);
  return sizes;
}

}  // namespace vdb::testing
