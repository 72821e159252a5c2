#include "index/hnsw/acorn_edges.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "acorn_cases.h"
#include "base/error.h"

namespace vdb {
namespace {

using namespace testing;

// The rule of the paper in the plainest words. `row_of` gives the neighbours of a node on level 0.
template <class RowOf>
std::vector<Slot> compressed(std::vector<Neighbor> candidates, const HnswParams& of, std::size_t most,
                             const RowOf& row_of) {
  if (candidates.size() > of.gamma * of.M) candidates.resize(of.gamma * of.M);
  std::vector<Slot> kept;
  std::set<Slot> behind;
  for (std::size_t i = 0; i < candidates.size() && kept.size() < most; ++i) {
    const Slot slot = candidates[i].slot;
    if (i < of.m_beta) {
      kept.push_back(slot);
      continue;
    }
    if (behind.size() + kept.size() > of.gamma * of.M) break;
    if (behind.count(slot) != 0) continue;
    kept.push_back(slot);
    for (const Slot neighbor : row_of(slot)) behind.insert(neighbor);
  }
  return kept;
}

std::vector<Slot> slots_of(const std::vector<Neighbor>& neighbors) {
  std::vector<Slot> slots;
  for (const Neighbor& neighbor : neighbors) slots.push_back(neighbor.slot);
  return slots;
}

TEST_CASE("compression keeps what the paper keeps, for any M_beta, budget and room") {
  constexpr std::size_t kNodes = 500;
  const Vectors vectors = uniform_vectors(Metric::kL2, kNodes, 3, 1);
  const VectorView view = vectors.view();
  const L2Distance distance(view, Slot{0});
  std::vector<Neighbor> nearest;
  for (Slot slot = 1; slot < kNodes; ++slot) nearest.push_back({distance(slot), slot});
  std::sort(nearest.begin(), nearest.end());
  Scratch scratch;
  std::vector<Neighbor> kept;
  std::size_t left_out = 0;
  for (const std::size_t gamma : {1U, 3U, 12U}) {
    for (const std::size_t m_beta : {std::size_t{1}, std::size_t{8}, gamma * 16}) {
      CAPTURE(gamma);
      CAPTURE(m_beta);
      const HnswParams params = acorn_params(Metric::kL2, 3, gamma, m_beta);
      const AcornEdges rule(params);
      // Rows of near nodes overlap, as those of a graph do; some are empty.
      Layers layers(kNodes, 0, rule.widths());
      const Adjacency rows = layers.edges(0);
      Random random(gamma);
      for (std::size_t i = 0; i < nearest.size(); i += 1 + random.below(2)) {
        std::vector<Slot> row;
        for (std::size_t j = i; j < nearest.size() && row.size() < 10; j += 1 + random.below(6)) {
          row.push_back(nearest[j].slot);
        }
        rows.store(nearest[i].slot, row);
      }
      const auto row_of = [&](Slot slot) {
        std::vector<Slot> row;
        rows.for_each(slot, [&](Slot neighbor) { row.push_back(neighbor); });
        return row;
      };
      for (const std::size_t count : {0U, 1U, 9U, 60U, 499U}) {
        for (const std::size_t most : {std::size_t{5}, rule.counts(0).max}) {
          const std::span<const Neighbor> candidates(nearest.data(), std::min(count, nearest.size()));
          rule.choose<L2Distance>({view, layers, 0, scratch}, candidates, {most}, kept);
          const auto expected = compressed({candidates.begin(), candidates.end()}, params, most, row_of);
          CHECK(slots_of(kept) == expected);
          left_out += candidates.size() - kept.size();
        }
      }
    }
  }
  CHECK(left_out > 100);
}

TEST_CASE("upper levels keep the nearest, as many as there is room for") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 200, 3, 1);
  const VectorView view = vectors.view();
  const AcornEdges rule(acorn_params(Metric::kL2, 3, 4, 8));
  Layers layers(200, 0, rule.widths());
  std::vector<Neighbor> candidates;
  for (Slot slot = 0; slot < 200; ++slot) candidates.push_back({static_cast<float>(slot), slot});
  Scratch scratch;
  std::vector<Neighbor> kept;
  rule.choose<L2Distance>({view, layers, 2, scratch}, candidates, rule.counts(2), kept);
  CHECK(kept.size() == 64);
  CHECK(std::equal(kept.begin(), kept.end(), candidates.begin()));
}

TEST_CASE("rows stay within their widths, in the order of distance and without doubles, at every metric") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, 3000, 8, 1);
    Hnsw graph(acorn_params(metric, 8));
    extend(graph, vectors.view(), 0);
    graph.check("here");
    CHECK(unsound_rows(graph, vectors.view(), RowSet::all(3000)) == 0);
  }
}

TEST_CASE("a level of no more nodes than a row has places is complete, but for nodes of one batch") {
  const Vectors vectors = uniform_vectors(Metric::kL2, 300, 6, 3);
  Hnsw graph(acorn_params(Metric::kL2, 6, 12, 8));
  extend(graph, vectors.view(), 0);
  REQUIRE(graph.max_level() >= 1);
  std::size_t on_first = 0;
  std::size_t edges = 0;
  for_each_row(graph, RowSet::all(300), [&](Slot, std::size_t level, const std::vector<Slot>& row) {
    if (level != 1) return;
    ++on_first;
    edges += row.size();
  });
  REQUIRE(on_first > 10);
  CHECK(edges >= on_first * (on_first - 2));
}

TEST_CASE("nearly every true neighbour a node looked for is within two hops") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 2000, 8, 1);
  const HnswParams params = acorn_params(Metric::kL2, 8);
  Hnsw graph(params);
  extend(graph, vectors.view(), 0);
  const std::size_t wanted = params.gamma * params.M;
  const Answer truth = scan_all(vectors.view(), vectors, {.k = wanted + 1});
  std::size_t within = 0;
  for (Slot slot = 0; slot < 2000; slot += 10) {
    std::set<Slot> reached;
    for (const Slot first : graph.neighbors(slot, 0)) {
      reached.insert(first);
      for (const Slot second : graph.neighbors(first, 0)) reached.insert(second);
    }
    for (const Slot near : truth.found(slot)) within += near != slot && reached.count(near) != 0 ? 1U : 0U;
  }
  CHECK(within >= 200 * wanted * 85 / 100);
}

TEST_CASE("the graph is the same for any number of threads, by vectors and by codes") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, 2500, 64, 1);
    for (const bool coded : {false, true}) {
      HnswParams params = acorn_params(metric, 64);
      if (coded) params.codes = CodecKind::kSq8;
      Hnsw one(params);
      Hnsw all(params);
      extend(one, vectors.view(), 1);
      extend(all, vectors.view(), 3);
      one.check("one");
      CHECK((bytes_of_graph(one) == bytes_of_graph(all)));
    }
  }
}

TEST_CASE("parameters out of range are refused with their value") {
  const auto make = [](std::size_t gamma, std::size_t m_beta) { Hnsw(acorn_params(Metric::kL2, 4, gamma, m_beta)); };
  CHECK_NOTHROW(make(1, 8));
  CHECK_NOTHROW(make(1024, 1));
  CHECK_THROWS_WITH_AS(make(1025, 1), "gamma must be from 1 to 1024 for M = 16, got 1025", InvalidArgument);
  CHECK_THROWS_WITH_AS(make(3, 0), "m_beta must be from 1 to gamma * M = 48, got 0", InvalidArgument);
  CHECK_THROWS_WITH_AS(make(3, 49), "m_beta must be from 1 to gamma * M = 48, got 49", InvalidArgument);
  CHECK_THROWS_WITH_AS(make(0, 5), "m_beta belongs to a graph with gamma, got m_beta 5 and gamma 0", InvalidArgument);
  HnswParams packed = acorn_params(Metric::kL2, 64);
  packed.codes = CodecKind::kRabitq;
  packed.code_bits = 1;
  packed.packed = true;
  CHECK_THROWS_AS(Hnsw{packed}, InvalidArgument);
}

}  // namespace
}  // namespace vdb
