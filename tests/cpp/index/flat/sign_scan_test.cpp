// The scan in stages: which rows it reads, how many of the nearest it finds, and that its distances are the scan's.
#include "index/flat/sign_scan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "answer.h"
#include "base/error.h"
#include "data.h"
#include "index/flat/code_scan.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 6000;
constexpr std::size_t kQueries = 24;
constexpr std::size_t kDim = 128;

template <class Queries>
Answer scan_signs(const CodeStore& codes, const VectorView& view, const Queries& queries, const Ask& ask,
                  std::size_t begin = 0) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  answer.stats = scan_codes(codes.snapshot(), view, batch, begin, {answer.slots.data(), answer.distances.data()});
  return answer;
}

Answer scan_listed(const CodeStore::Snapshot& codes, const Vectors& rows, const Vectors& queries, std::size_t k,
                   const std::vector<Slot>& slots) {
  Answer answer(queries.n, k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, k, nullptr, 1, &token};
  answer.stats = scan_lists(codes, rows.view(), batch, {slots.data(), slots.size() / queries.n},
                            {answer.slots.data(), answer.distances.data()});
  return answer;
}

void encode(CodeStore& codes, const VectorView& view) {
  CancelToken token;
  codes.extend(view, {nullptr, 2, &token, {}});
}

CodeParams with_bits(const VectorView& view, std::size_t bits) {
  CodeParams params{CodecKind::kRabitq, view.dim, view.metric};
  params.bits = bits;
  params.aligned = true;
  return params;
}

RowSet every(std::size_t step, std::size_t n) {
  std::vector<Slot> slots;
  for (std::size_t i = step / 2; i < n; i += step) slots.push_back(static_cast<Slot>(i));
  return RowSet::from_slots(slots, n);
}

// What is found has its distance by the vectors, in order, and is allowed.
void check_sound(const Answer& answer, const Answer& truth, const RowSet* rows) {
  for (std::size_t q = 0; q * answer.k < answer.slots.size(); ++q) {
    const std::vector<Slot> found = answer.found(q);
    const std::vector<Slot> true_nearest = truth.found(q);
    CHECK(found.size() == true_nearest.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (rows != nullptr) CHECK(rows->contains(found[i]));
      CHECK(answer.distances[q * answer.k + i] >= truth.distances[q * answer.k + i]);
      const auto same = std::find(true_nearest.begin(), true_nearest.end(), found[i]) - true_nearest.begin();
      if (static_cast<std::size_t>(same) == true_nearest.size()) continue;
      CHECK(answer.distances[q * answer.k + i] == truth.distances[q * answer.k + static_cast<std::size_t>(same)]);
    }
  }
}

TEST_CASE("nearly all nearest are found by codes of any bits, under every metric and of sets of any density") {
  for (const Metric metric : kMetrics) {
    const Vectors rows = clustered_vectors(metric, kRows, kDim, 1);
    const Vectors queries = clustered_vectors(metric, kQueries, kDim, 2);
    for (std::size_t bits = 1; bits <= 8; ++bits) {
      CodeStore codes(with_bits(rows.view(), bits));
      encode(codes, rows.view());
      CAPTURE(name_of(metric));
      CAPTURE(bits);
      for (const std::size_t step : {1U, 2U, 9U, 70U, 1000U}) {
        const RowSet set = every(step, kRows);
        const Ask ask{10, step == 1 ? nullptr : &set, 1};
        const Answer truth = scan_all(rows.view(), queries, ask);
        const Answer answer = scan_signs(codes, rows.view(), queries, ask);
        check_sound(answer, truth, ask.rows);
        CHECK(recall(answer, truth) >= 0.97);
        if (set.count() <= 32) CHECK(answer == truth);
        CHECK(scan_signs(codes, rows.view(), queries, {10, ask.rows, 2}) == answer);
      }
    }
  }
}

TEST_CASE("few rows get beyond their signs and fewer are measured") {
  const Vectors rows = clustered_vectors(Metric::kCosine, 30'000, 384, 3, 200);
  const Vectors queries = clustered_vectors(Metric::kCosine, kQueries, 384, 4, 200);
  CodeStore codes(with_bits(rows.view(), 2));
  encode(codes, rows.view());
  const RowSet half = every(2, rows.n);
  const Answer answer = scan_signs(codes, rows.view(), queries, {10, &half, 1});
  CHECK(answer.stats.estimates == kQueries * half.count() + answer.stats.refined);
  CHECK(answer.stats.refined < kQueries * half.count() / 10);
  CHECK(answer.stats.distances < answer.stats.refined);
  CHECK(recall(answer, scan_all(rows.view(), queries, {10, &half, 1})) >= 0.98);
}

TEST_CASE("sets at the edges, offsets and rows behind the codes are read as by the scan of vectors") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 5);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 6);
  CodeStore codes(with_bits(rows.view(), 2));
  encode(codes, rows.first(4000));
  const RowSet none = RowSet::none(kRows);
  CHECK(scan_signs(codes, rows.view(), queries, {10, &none, 1}).found(0).empty());
  for (const Slot slot : {0U, 63U, 64U, 3999U, 4000U, 5999U}) {
    const RowSet one = RowSet::from_slots(std::vector<Slot>{slot}, kRows);
    CHECK(scan_signs(codes, rows.view(), queries, {10, &one, 1}).found(1) == std::vector<Slot>{slot});
  }
  for (const std::size_t begin : {0U, 1U, 777U, 3999U, 4000U, 5500U, 6000U}) {
    const RowSet third = every(3, kRows);
    for (const RowSet* const set : {static_cast<const RowSet*>(nullptr), &third}) {
      const Answer truth = scan_all(rows.view(), queries, {10, set, 1}, begin);
      const Answer answer = scan_signs(codes, rows.view(), queries, {10, set, 1}, begin);
      check_sound(answer, truth, set);
      CHECK((begin == kRows || recall(answer, truth) >= 0.97));
      for (const Slot slot : answer.slots) CHECK(slot >= begin);
    }
  }
  const RowSet few = every(97, 3000);
  check_sound(scan_signs(codes, rows.first(3000), queries, {10, &few, 1}),
              scan_all(rows.first(3000), queries, {10, &few, 1}), &few);
}

TEST_CASE("every k up to all rows gets as many as there are") {
  const Vectors rows = clustered_vectors(Metric::kInnerProduct, 2000, 64, 7);
  const Vectors queries = clustered_vectors(Metric::kInnerProduct, 3, 64, 8);
  CodeStore codes(with_bits(rows.view(), 1));
  encode(codes, rows.view());
  for (const std::size_t k : {1U, 100U, 1999U, 2000U, 3000U}) {
    const Answer truth = scan_all(rows.view(), queries, {k});
    const Answer answer = scan_signs(codes, rows.view(), queries, {k});
    check_sound(answer, truth, nullptr);
    CHECK(recall(answer, truth) >= (k >= 2000 ? 1.0 : 0.95));
  }
}

TEST_CASE("vectors of every dtype can be scanned by signs") {
  const Vectors values = integer_vectors(Metric::kL2, 1500, 96, 9);
  const Vectors asked = integer_vectors(Metric::kL2, 8, 96, 10);
  for (const Dtype dtype : kDtypes) {
    const StoredVectors rows(values, dtype);
    const StoredVectors queries(asked, dtype);
    CodeStore codes(with_bits(rows.view(), 2));
    encode(codes, rows.view());
    const Answer truth = scan_all(rows.view(), queries, {10});
    const Answer answer = scan_signs(codes, rows.view(), queries, {10});
    check_sound(answer, truth, nullptr);
    CHECK(recall(answer, truth) >= 0.9);  // distances are small integers: rows as near as the last stand in for it
  }
}

// float32 cannot hold the squares of such rows, and their codes say nothing.
TEST_CASE("rows too long for their codes are measured") {
  Vectors rows = clustered_vectors(Metric::kInnerProduct, 1000, 64, 11);
  for (std::size_t d = 0; d < 64; ++d) rows.values[500 * 64 + d] *= 1e30F;
  const Vectors scaled(Metric::kInnerProduct, 64, rows.values);
  const Vectors query(Metric::kInnerProduct, 64, {rows.values.begin() + 500 * 64, rows.values.begin() + 501 * 64});
  CodeStore codes(with_bits(scaled.view(), 2));
  encode(codes, scaled.view());
  const Answer truth = scan_all(scaled.view(), query, {3});
  CHECK(scan_signs(codes, scaled.view(), query, {3}).found(0) == truth.found(0));
}

TEST_CASE("lists of slots are scanned in place of a set, in any order, by codes and without") {
  const Vectors rows = clustered_vectors(Metric::kCosine, kRows, kDim, 12);
  const Vectors queries = clustered_vectors(Metric::kCosine, 5, kDim, 13);
  constexpr std::size_t kWidth = 2500;
  Random random(14);
  std::vector<Slot> lists(queries.n * kWidth, kAbsentSlot);
  Answer truth(queries.n, 10);
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::vector<Slot> slots(kRows);
    std::iota(slots.begin(), slots.end(), 0U);
    for (std::size_t i = 0; i + 1 < slots.size(); ++i) std::swap(slots[i], slots[i + random.below(kRows - i)]);
    slots.resize(kWidth - 400 * q);
    std::copy(slots.begin(), slots.end(), lists.begin() + static_cast<std::ptrdiff_t>(q * kWidth));
    const RowSet set = RowSet::from_slots(slots, kRows);
    const Vectors one(Metric::kCosine, kDim, {queries.row(q), queries.row(q) + kDim});
    const Answer exact = scan_all(rows.view(), one, {10, &set, 1});
    std::copy(exact.slots.begin(), exact.slots.end(), truth.slots.begin() + static_cast<std::ptrdiff_t>(q * 10));
    std::copy(exact.distances.begin(), exact.distances.end(),
              truth.distances.begin() + static_cast<std::ptrdiff_t>(q * 10));
  }
  CHECK(scan_listed({}, rows, queries, 10, lists) == truth);
  CodeStore bytes({CodecKind::kSq8, kDim, Metric::kCosine});
  encode(bytes, rows.first(4000));
  CHECK(scan_listed(bytes.snapshot(), rows, queries, 10, lists) == truth);
  CodeStore codes(with_bits(rows.view(), 2));
  encode(codes, rows.first(4000));
  const Answer answer = scan_listed(codes.snapshot(), rows, queries, 10, lists);
  check_sound(answer, truth, nullptr);
  CHECK(recall(answer, truth) >= 0.97);
  lists[7] = kRows;
  CHECK_THROWS_AS(scan_listed(codes.snapshot(), rows, queries, 10, lists), InvalidArgument);
}

TEST_CASE("blocks of slots are those of the set, in order and never empty before the end") {
  Random random(15);
  for (const std::size_t n : {1U, 63U, 64U, 1000U, 100'000U}) {
    for (const std::size_t one_in : {1U, 2U, 40U, 5000U}) {
      std::vector<Slot> slots;
      for (std::size_t i = 0; i < n; ++i) {
        if (random.below(one_in) == 0) slots.push_back(static_cast<Slot>(i));
      }
      const RowSet set = RowSet::from_slots(slots, n);
      for (const std::size_t begin : {std::size_t{0}, n / 3}) {
        for (const bool all : {false, true}) {
          SlotBlocks blocks(all ? nullptr : &set, {begin, n});
          std::vector<Slot> seen;
          std::size_t wanted = 1;
          for (auto block = blocks.next(wanted); !block.empty(); block = blocks.next(wanted *= 2)) {
            seen.insert(seen.end(), block.begin(), block.end());
          }
          const RowSet expected = (all ? RowSet::all(n) : set) & RowSet::from_range(begin, n, n);
          CHECK(seen == expected.to_slots());
        }
      }
    }
  }
}

}  // namespace
}  // namespace vdb
