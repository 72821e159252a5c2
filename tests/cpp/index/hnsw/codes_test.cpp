// A graph walked by codes: the same answers as far as it finds them, exact distances, the codes saved with the graph.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "answer.h"
#include "base/error.h"
#include "data.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 3000;
constexpr std::size_t kQueries = 50;
constexpr std::size_t kDim = 128;

struct Choice {
  CodecKind kind;
  std::size_t bits;
};
constexpr Choice kChoices[] = {
    {CodecKind::kRabitq, 1}, {CodecKind::kRabitq, 2}, {CodecKind::kRabitq, 4}, {CodecKind::kSq8, 0}};

HnswParams params(Metric metric, const Choice& choice, std::size_t dim = kDim) {
  HnswParams of{dim, metric, 12, 100, 7};
  of.codes = choice.kind;
  of.code_bits = choice.bits;
  return of;
}

TEST_CASE("walks by codes find what the vectors say is near, at every metric") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, kRows, kDim, 1);
    const Vectors queries = clustered_vectors(metric, kQueries, kDim, 2);
    const Answer truth = scan_all(vectors.view(), queries, {});
    for (const Choice& choice : kChoices) {
      CAPTURE(name_of(metric));
      CAPTURE(choice.bits);
      Hnsw graph(params(metric, choice));
      extend(graph, vectors.view(), 2);
      const Answer answer = search_graph(graph, vectors.view(), queries, {}, with_ef(160));
      CHECK(recall(answer, truth) >= 0.95);
      CHECK(answer.stats.estimates > 0);
      CHECK(answer.stats.distances < answer.stats.estimates);
    }
  }
}

TEST_CASE("distances of a walk by codes are those of the scan") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, kRows, kDim, 3);
  const Vectors queries = clustered_vectors(Metric::kCosine, kQueries, kDim, 4);
  const Answer truth = scan_all(vectors.view(), queries, {});
  Hnsw graph(params(Metric::kCosine, {CodecKind::kRabitq, 4}));
  extend(graph, vectors.view());
  const Answer answer = search_graph(graph, vectors.view(), queries, {}, with_ef(300));
  std::size_t same = 0;
  for (std::size_t i = 0; i < truth.slots.size(); ++i) {
    if (answer.slots[i] != truth.slots[i]) continue;
    ++same;
    CHECK(answer.distances[i] == truth.distances[i]);
  }
  CHECK(same > truth.slots.size() / 2);
}

TEST_CASE("a filtered walk by codes returns only allowed rows, nearest first") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 5);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 6);
  std::vector<Slot> third;
  for (Slot slot = 0; slot < kRows; slot += 3) third.push_back(slot);
  const RowSet rows = RowSet::from_slots(third, kRows);
  Hnsw graph(params(Metric::kL2, {CodecKind::kRabitq, 2}));
  extend(graph, vectors.view());
  const Ask ask{10, &rows, 1};
  const Answer truth = scan_all(vectors.view(), queries, ask);
  const Answer answer = search_graph(graph, vectors.view(), queries, ask, {100, 400, 0, kMaxSlots});
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (const Slot slot : answer.found(q)) CHECK(rows.contains(slot));
    for (std::size_t i = 1; i < 10; ++i) CHECK(answer.distances[q * 10 + i - 1] <= answer.distances[q * 10 + i]);
  }
  CHECK(recall(answer, truth) >= 0.9);
}

TEST_CASE("the graph is the same for any number of threads and comes back from its snapshot") {
  const TemporaryFolder folder;
  const std::string path = folder.file("graph.idx");
  const Vectors vectors = clustered_vectors(Metric::kInnerProduct, kRows, kDim, 8);
  const Vectors queries = clustered_vectors(Metric::kInnerProduct, kQueries, kDim, 9);
  Hnsw one(params(Metric::kInnerProduct, {CodecKind::kRabitq, 1}));
  Hnsw two(params(Metric::kInnerProduct, {CodecKind::kRabitq, 1}));
  extend(one, vectors.view(), 1);
  extend(two, vectors.view(), 2);
  const Answer expected = search_graph(one, vectors.view(), queries, {}, with_ef(60));
  CHECK(search_graph(two, vectors.view(), queries, {}, with_ef(60)) == expected);
  one.save(path, {});
  const auto loaded = Hnsw::load(path);
  CHECK(loaded->params().codes == CodecKind::kRabitq);
  CHECK(loaded->params().code_bits == 1);
  CHECK(search_graph(*loaded, vectors.view(), queries, {}, with_ef(60)) == expected);
}

TEST_CASE("rows that come later are found, whatever the codes learned from the first") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 10);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 11);
  Hnsw graph(params(Metric::kL2, {CodecKind::kRabitq, 2}));
  for (const std::size_t rows : {std::size_t{1}, std::size_t{2}, std::size_t{50}, std::size_t{1000}, kRows}) {
    extend(graph, vectors.first(rows), 2);
    CHECK(graph.codes()->covered() == rows);
  }
  const Answer truth = scan_all(vectors.view(), queries, {});
  CHECK(recall(search_graph(graph, vectors.view(), queries, {}, with_ef(160)), truth) >= 0.95);
}

TEST_CASE("vectors of every dtype and of few dimensions can be walked by codes") {
  for (const Dtype dtype : kDtypes) {
    for (const std::size_t dim : {std::size_t{1}, std::size_t{3}, std::size_t{100}}) {
      const Vectors whole = integer_vectors(Metric::kCosine, 400, dim, dim);
      const StoredVectors vectors(whole, dtype);
      Hnsw graph(params(Metric::kCosine, {CodecKind::kRabitq, 1}, dim));
      extend(graph, vectors.view());
      const Answer answer = search_graph(graph, vectors.view(), vectors, {5, nullptr, 2}, with_ef(40));
      CHECK(answer.found(0).size() == 5);
    }
  }
}

TEST_CASE("a graph without a row to learn codes from answers with nothing") {
  const Vectors zero(Metric::kCosine, 4, std::vector<float>(4 * 8, 0.0F));
  Hnsw graph(params(Metric::kCosine, {CodecKind::kRabitq, 1}, 4));
  const RowSet none = RowSet::none(8);
  extend(graph, zero.view(), 1, &none);
  const Vectors query = uniform_vectors(Metric::kCosine, 1, 4, 1);
  CHECK(search_graph(graph, zero.view(), query, {}, with_ef(10)).found(0).empty());
}

TEST_CASE("codes move with the graph when slots are numbered anew") {
  const Vectors vectors = clustered_vectors(Metric::kL2, kRows, kDim, 12);
  const Vectors queries = clustered_vectors(Metric::kL2, kQueries, kDim, 13);
  Hnsw graph(params(Metric::kL2, {CodecKind::kRabitq, 2}));
  extend(graph, vectors.view());
  std::vector<Slot> number(kRows, kAbsentSlot);
  std::vector<Slot> kept;
  std::vector<float> values;
  for (Slot slot = 0; slot < kRows; ++slot) {
    if (slot % 5 == 0) continue;
    number[slot] = static_cast<Slot>(kept.size());
    kept.push_back(slot);
    values.insert(values.end(), vectors.row(slot), vectors.row(slot) + kDim);
  }
  const Vectors fewer(Metric::kL2, kDim, std::move(values));
  const auto moved = graph.renumbered(number, kept.size());
  CHECK(moved->codes()->covered() == kept.size());
  const CodeStore::Snapshot before = graph.codes()->snapshot();
  const CodeStore::Snapshot after = moved->codes()->snapshot();
  for (Slot slot = 0; slot < kept.size(); ++slot) {
    for (std::size_t p = 0; p < before.pieces; ++p) {
      const std::uint8_t* const now = after.record(slot) + p * after.plane;
      CHECK(std::equal(now, now + after.stride, before.record(kept[slot]) + p * before.plane));
    }
  }
  const Answer truth = scan_all(fewer.view(), queries, {});
  const Answer answer = search_graph(*moved, fewer.view(), queries, {}, with_ef(160));
  CHECK(answer.stats.estimates > 0);
  CHECK(recall(answer, truth) >= 0.9);
}

TEST_CASE("codes that a graph cannot be walked by are refused") {
  CHECK_THROWS_AS(Hnsw(params(Metric::kL2, {CodecKind::kPq, 8})), InvalidArgument);
  CHECK_THROWS_AS(Hnsw(params(Metric::kL2, {CodecKind::kRabitq, 0})), InvalidArgument);
  CHECK_THROWS_AS(Hnsw(params(Metric::kL2, {CodecKind::kRabitq, 9})), InvalidArgument);
}

}  // namespace
}  // namespace vdb
