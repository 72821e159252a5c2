#include "index/flat/code_scan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "answer.h"
#include "base/error.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Answer;
using testing::Ask;
using testing::Vectors;

CodeParams params_for(const VectorView& view) { return {CodecKind::kSq8, view.dim, view.metric}; }

void extend(CodeStore& codes, const VectorView& view, std::size_t threads = 1, const RowSet* rows = nullptr) {
  CancelToken token;
  codes.extend(view, {rows, threads, &token, {}});
}

Answer scan_by_codes(const CodeStore& codes, const VectorView& view, const Vectors& queries, const Ask& ask,
                     std::size_t begin = 0) {
  Answer answer(queries.n, ask.k);
  CancelToken token;
  const QueryBatch batch{queries.bytes(), queries.n, ask.k, ask.rows, ask.threads, &token};
  answer.stats = scan_codes(codes.snapshot(), view, batch, begin, {answer.slots.data(), answer.distances.data()});
  return answer;
}

void check_same(const Answer& codes, const Answer& vectors) {
  CHECK(codes == vectors);
  CHECK(codes.stats.tied == vectors.stats.tied);
  CHECK(codes.stats.cut == vectors.stats.cut);
}

TEST_CASE("the scan of codes gives what the scan of vectors gives, bit for bit") {
  for (const Metric metric : testing::kMetrics) {
    for (const std::size_t dim : {1U, 5U, 64U, 100U}) {
      const Vectors rows = testing::clustered_vectors(metric, 5000, dim, 1);
      const Vectors queries = testing::clustered_vectors(metric, 70, dim, 2);
      CodeStore codes(params_for(rows.view()));
      extend(codes, rows.view());
      CAPTURE(name_of(metric));
      CAPTURE(dim);
      for (const std::size_t k : {1U, 10U, 200U}) {
        check_same(scan_by_codes(codes, rows.view(), queries, {k}), testing::scan_all(rows.view(), queries, {k}));
      }
      const Answer one = scan_by_codes(codes, rows.view(), queries, {10});
      CHECK(scan_by_codes(codes, rows.view(), queries, {10, nullptr, 2}) == one);
      CHECK(one.stats.estimates == 5000 * queries.n);
      if (dim == 100) CHECK(one.stats.distances < 500 * queries.n);
    }
  }
}

TEST_CASE("ties are found and cut as by the scan of vectors") {
  for (const Metric metric : testing::kMetrics) {
    const Vectors rows = testing::integer_vectors(metric, 3000, 6, 3);  // duplicates everywhere
    const Vectors queries = testing::integer_vectors(metric, 20, 6, 4);
    CodeStore codes(params_for(rows.view()));
    extend(codes, rows.view());
    for (const std::size_t k : {1U, 3U, 50U, 3000U, 5000U}) {
      check_same(scan_by_codes(codes, rows.view(), queries, {k}), testing::scan_all(rows.view(), queries, {k}));
    }
  }
}

// Rows whose halves have one value each differ by less than the rounding of long sums, and two directions span them.
TEST_CASE("rows nearer to each other than their distances' rounding are ranked as by the scan of vectors") {
  constexpr std::size_t kRows = 300;
  for (const auto& [metric, dim] : {std::pair{Metric::kL2, 65'528U}, std::pair{Metric::kCosine, 16'384U},
                                    std::pair{Metric::kInnerProduct, 65'528U}}) {
    testing::Random random(1);
    std::vector<float> values(kRows * dim);
    for (std::size_t half = 0; half < 2 * kRows; ++half) {
      std::fill_n(values.data() + half * (dim / 2), dim / 2, static_cast<float>(0.1 * (1 + 2e-6 * random.unit())));
    }
    const Vectors rows(metric, dim, std::move(values));
    const Vectors query(metric, dim, std::vector<float>(dim, metric == Metric::kL2 ? 0.0F : 1.0F));
    CodeParams params{CodecKind::kProjection, dim, metric};
    params.find_basis = [](const TrainingRows& sample) {
      Basis basis{std::vector<float>(2 * sample.dim), 2, true};
      const std::size_t half = sample.dim / 2;
      const auto value = static_cast<float>(1 / std::sqrt(static_cast<double>(half)));
      std::fill_n(basis.directions.begin(), half, value);
      std::fill_n(basis.directions.end() - static_cast<std::ptrdiff_t>(half), half, value);
      return basis;
    };
    CodeStore codes(params);
    extend(codes, rows.view());
    CAPTURE(name_of(metric));
    check_same(scan_by_codes(codes, rows.view(), query, {10}), testing::scan_all(rows.view(), query, {10}));
  }
}

TEST_CASE("a row set of any density is obeyed") {
  const Vectors rows = testing::clustered_vectors(Metric::kCosine, 20'000, 40, 5);
  const Vectors queries = testing::clustered_vectors(Metric::kCosine, 9, 40, 6);
  CodeStore codes(params_for(rows.view()));
  extend(codes, rows.view());
  for (const std::size_t every : {1U, 2U, 3U, 5U, 50U, 7000U}) {
    std::vector<Slot> slots;
    for (std::size_t i = 3; i < rows.n; i += every) slots.push_back(static_cast<Slot>(i));
    const RowSet set = RowSet::from_slots(slots, rows.n);
    const Answer answer = scan_by_codes(codes, rows.view(), queries, {10, &set});
    check_same(answer, testing::scan_all(rows.view(), queries, {10, &set}));
    if (every >= 5) CHECK(answer.stats.estimates == slots.size() * queries.n);  // gathered
  }
  const RowSet none = RowSet::none(rows.n);
  CHECK(scan_by_codes(codes, rows.view(), queries, {10, &none}).found(0).empty());
}

TEST_CASE("rows behind the codes are measured, and a later extend covers them") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 3000, 32, 7);
  const Vectors queries = testing::clustered_vectors(Metric::kL2, 5, 32, 8);
  CodeStore codes(params_for(rows.view()));
  extend(codes, rows.first(1000));
  const Answer partly = scan_by_codes(codes, rows.view(), queries, {10});
  check_same(partly, testing::scan_all(rows.view(), queries, {10}));
  CHECK(partly.stats.estimates == 1000 * queries.n);
  CHECK(partly.stats.distances >= 2000 * queries.n);
  check_same(scan_by_codes(codes, rows.first(700), queries, {10}), testing::scan_all(rows.first(700), queries, {10}));
  check_same(scan_by_codes(codes, rows.view(), queries, {10}, 400), testing::scan_all(rows.view(), queries, {10}, 400));
  for (const std::size_t n : {1001U, 1700U, 3000U, 2000U}) extend(codes, rows.first(n));
  CHECK(codes.covered() == 3000);
  const Answer wholly = scan_by_codes(codes, rows.view(), queries, {10});
  check_same(wholly, partly);
  CHECK(wholly.stats.estimates == 3000 * queries.n);
}

TEST_CASE("a snapshot taken before an extend stays what it was") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 2000, 16, 9);
  CodeStore codes(params_for(rows.view()));
  extend(codes, rows.first(10));
  const CodeStore::Snapshot before = codes.snapshot();
  const std::vector<std::uint8_t> bytes(before.buffer->data(), before.buffer->data() + 10 * before.stride);
  extend(codes, rows.view());
  CHECK(std::equal(bytes.begin(), bytes.end(), before.buffer->data()));
  CHECK(before.covered == 10);
}

TEST_CASE("estimates that are abandoned early lose no row") {
  for (const Metric metric : testing::kMetrics) {
    Vectors rows = testing::clustered_vectors(metric, 3000, 256, 13);
    for (std::size_t i = 0; i < rows.values.size(); ++i) {
      rows.values[i] *=
          static_cast<float>(std::pow(0.98, static_cast<double>(i % 256)));  // energy falls from the first
    }
    const Vectors falling(metric, 256, rows.values);
    const Vectors queries(metric, 256, {rows.values.begin(), rows.values.begin() + 5 * 256});
    CodeParams params{CodecKind::kProjection, 256, metric};
    params.find_basis = [](const TrainingRows& sample) {
      Basis basis{std::vector<float>(sample.dim * sample.dim), sample.dim, false};
      for (std::size_t d = 0; d < sample.dim; ++d) basis.directions[d * (sample.dim + 1)] = 1;
      return basis;
    };
    CodeStore codes(params);
    extend(codes, falling.view());
    for (const std::size_t every : {1U, 2U, 50U}) {
      std::vector<Slot> slots;
      for (std::size_t i = 0; i < falling.n; i += every) slots.push_back(static_cast<Slot>(i));
      const RowSet set = RowSet::from_slots(slots, falling.n);
      check_same(scan_by_codes(codes, falling.view(), queries, {10, &set}),
                 testing::scan_all(falling.view(), queries, {10, &set}));
      const Vectors one(metric, 256, {rows.values.begin(), rows.values.begin() + 256});
      const Answer answer = scan_by_codes(codes, falling.view(), one, {10, &set});
      check_same(answer, testing::scan_all(falling.view(), one, {10, &set}));
      CHECK(answer.stats.distances < slots.size());
    }
  }
}

TEST_CASE("scans beside an extend see what was covered, and answer as always") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 4000, 16, 21);
  const Vectors queries = testing::clustered_vectors(Metric::kL2, 3, 16, 22);
  const Answer expected = testing::scan_all(rows.view(), queries, {5});
  CodeStore codes(params_for(rows.view()));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::size_t n = 100; n <= rows.n; n += 100) extend(codes, rows.first(n), 2);
    done = true;
  });
  std::size_t scans = 0;
  while (!done || scans == 0) {
    check_same(scan_by_codes(codes, rows.view(), queries, {5}), expected);
    ++scans;
  }
  writer.join();
  CHECK(codes.covered() == rows.n);
}

// Rows of every length from `least` to `most`, a factor of ten between them.
Vectors of_lengths(Metric metric, double least, double most, std::uint64_t seed) {
  Vectors rows = testing::clustered_vectors(metric, 400, 24, seed);
  double length = least;
  for (std::size_t i = 0; i < rows.n; ++i) {
    for (std::size_t d = 0; d < 24; ++d) {
      rows.values[i * 24 + d] = static_cast<float>(double{rows.values[i * 24 + d]} * length);
    }
    length = length * 10 > most ? least : length * 10;
  }
  return {metric, 24, rows.values};
}

TEST_CASE("lengths at the ends of float32 give what the scan of vectors gives") {
  for (const Metric metric : testing::kMetrics) {
    for (const auto& [least, most] : {std::pair{1e-37, 1e37}, {1e-30, 1e-20}, {1e15, 1e22}, {1, 1}, {1e-3, 1e3}}) {
      const Vectors rows = of_lengths(metric, least, most, 11);
      CodeStore codes(params_for(rows.view()));
      extend(codes, rows.view());
      for (const double length : {1e-35, 1e-18, 1.0, 1e18, 1e35}) {
        const Vectors queries = of_lengths(metric, length, length, 12);
        CAPTURE(name_of(metric));
        CAPTURE(least);
        CAPTURE(length);
        check_same(scan_by_codes(codes, rows.view(), queries, {10}), testing::scan_all(rows.view(), queries, {10}));
      }
    }
  }
}

TEST_CASE("an empty table and wrong calls are clear") {
  const Vectors rows = testing::uniform_vectors(Metric::kL2, 10, 4, 1);
  const Vectors queries = testing::uniform_vectors(Metric::kL2, 1, 4, 2);
  CodeStore codes(params_for(rows.view()));
  CHECK(scan_by_codes(codes, rows.view(), queries, {3}).found(0).size() == 3);  // no codes yet: by vector
  CHECK_THROWS_AS(extend(codes, testing::uniform_vectors(Metric::kL2, 10, 5, 1).view()), InvalidArgument);
  CHECK_THROWS_AS(extend(codes, testing::uniform_vectors(Metric::kCosine, 10, 4, 1).view()), InvalidArgument);
  extend(codes, rows.first(5));
  const Vectors others = testing::uniform_vectors(Metric::kL2, 10, 5, 1);
  CHECK_THROWS_AS(scan_by_codes(codes, others.view(), others, {3}), InvalidArgument);
  const Vectors angles = testing::uniform_vectors(Metric::kCosine, 10, 4, 1);
  CHECK_THROWS_AS(scan_by_codes(codes, angles.view(), angles, {3}), InvalidArgument);
  CancelToken cancelled;
  cancelled.cancel();
  CHECK_THROWS_AS(codes.extend(rows.view(), {nullptr, 1, &cancelled, {}}), Cancelled);
  CHECK(codes.covered() == 5);
  extend(codes, rows.view());
  CHECK(scan_by_codes(codes, rows.view(), queries, {3}).found(0).size() == 3);
  CHECK(scan_by_codes(codes, rows.first(0), queries, {3}).found(0).empty());
}

}  // namespace
}  // namespace vdb
