#include "index/graph/packed_hop.h"

#include <doctest/doctest.h>

#include <limits>
#include <span>

#include "answer.h"
#include "core/distance.h"
#include "data.h"
#include "index/graph/expansion.h"
#include "index/graph/filter.h"
#include "index/graph/packed_cases.h"
#include "index/graph/search.h"

namespace vdb {
namespace {

using testing::Answer;
using testing::clustered_vectors;
using testing::first_slots;
using testing::kMetrics;
using testing::MadeEdges;
using testing::packed_params;
using testing::rebuild;
using testing::Vectors;

constexpr std::size_t kDegree = 32;
constexpr Slot kEntry = 0;

// The base level of a graph, as edges and as packed codes.
struct Base {
  Base(const Vectors& its_vectors, std::size_t M)
      : vectors(its_vectors),
        edges(vectors.n, kDegree, 0, [](std::size_t) { return 0U; }),
        codes(packed_params(vectors.metric, vectors.dim, kDegree), vectors.n) {
    Hnsw graph({vectors.dim, vectors.metric, M, 100, 42});
    testing::extend(graph, vectors.view());
    for (Slot slot = 0; slot < vectors.n; ++slot) edges.adjacency().store(slot, graph.neighbors(slot, 0));
    rebuild(codes, vectors.view(), edges, first_slots(vectors.n));
  }

  // The same walk, over packed codes or over vectors.
  template <class Filter>
  std::vector<Neighbor> walk(const Vectors& queries, std::size_t q, const Filter& filter, const BeamLimits& limits) {
    const auto reading = codes.read();
    query.bind(codes, queries.row(q), Dtype::kFloat32);
    return with_distance(vectors.view(), queries.row(q), [&](const auto& distance) {
      const PackedHop hop(codes, query, limits.nodes);
      finished = beam_search(distance, filter, hop, {&kEntry, 1}, {limits, scratch, stats});
      const std::span<const Neighbor> found = scratch.allowed.sorted();
      return std::vector<Neighbor>(found.begin(), found.end());
    });
  }
  std::vector<Neighbor> walk_vectors(const Vectors& queries, std::size_t q, const BeamLimits& limits) {
    return with_distance(vectors.view(), queries.row(q), [&](const auto& distance) {
      beam_search(distance, AllowAll{}, OneHop{edges.adjacency(), limits.nodes}, {&kEntry, 1},
                  {limits, scratch, stats});
      std::vector<Neighbor> found;
      for (std::size_t i = 0; i < scratch.pool.size(); ++i) found.push_back(scratch.pool[i]);
      return found;
    });
  }

  const Vectors& vectors;
  MadeEdges edges;
  PackedCodes codes;
  PackedQuery query;
  Scratch scratch;
  SearchStats stats;
  bool finished = true;
};

// Vectors of `dim` values that differ in a few directions only, as those of real models do. Where all directions are
// alike, a node's neighbours are nearly equally far, and no code of one bit tells them apart.
Vectors few_directions(Metric metric, std::size_t n, std::size_t dim, std::uint64_t seed) {
  constexpr std::size_t kDirections = 12;
  const Vectors latent = clustered_vectors(metric, n, kDirections, seed, 5);
  testing::Random random(99);  // the directions are those of every seed
  std::vector<float> directions(kDirections * dim);
  for (float& value : directions) value = static_cast<float>(random.normal());
  std::vector<float> values(n * dim, 0.0F);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < kDirections; ++j) {
      for (std::size_t d = 0; d < dim; ++d) values[i * dim + d] += latent.row(i)[j] * directions[j * dim + d];
    }
  }
  return {metric, dim, std::move(values)};
}

void copy_answer(const std::vector<Neighbor>& found, std::size_t q, Answer& answer) {
  for (std::size_t i = 0; i < answer.k; ++i) {
    answer.slots[q * answer.k + i] = i < found.size() ? found[i].slot : kAbsentSlot;
  }
}

TEST_CASE("a walk over packed codes finds what a walk over vectors finds, less a twentieth at most") {
  constexpr double kMargin = 0.05;
  for (const Metric metric : kMetrics) {
    CAPTURE(name_of(metric));
    const Vectors vectors = few_directions(metric, 1500, 192, 1);
    const Vectors queries = few_directions(metric, 40, 192, 2);
    Base base(vectors, 16);
    const Answer truth = testing::scan_all(vectors.view(), queries, {});
    Answer packed(queries.n, 10);
    Answer plain(queries.n, 10);
    const BeamLimits limits{16, 16, vectors.n};
    for (std::size_t q = 0; q < queries.n; ++q) {
      copy_answer(base.walk(queries, q, AllowAll{}, limits), q, packed);
      copy_answer(base.walk_vectors(queries, q, limits), q, plain);
    }
    CHECK(testing::recall(plain, truth) > 0.8);
    CHECK(testing::recall(packed, truth) >= testing::recall(plain, truth) - kMargin);
  }
}

TEST_CASE("what a walk over packed codes returns is measured, sorted and counted, and it measures what it pops") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 600, 40, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 5, 40, 2);
  Base base(vectors, 12);
  for (std::size_t q = 0; q < queries.n; ++q) {
    base.stats = {};
    const std::vector<Neighbor> found = base.walk(queries, q, AllowAll{}, {20, 20, vectors.n});
    CHECK(base.finished);
    CHECK(found.size() == 20);
    CHECK(std::is_sorted(found.begin(), found.end()));
    const L2Distance distance(vectors.view(), queries.row(q));
    for (const Neighbor& neighbor : found) CHECK(neighbor.distance == distance(neighbor.slot));
    CHECK(base.stats.distances == base.stats.hops + 1);
  }
}

TEST_CASE("a pool as large as the graph finds every node that has a way") {
  const Vectors vectors = clustered_vectors(Metric::kCosine, 300, 20, 1);
  Base base(vectors, 12);
  const BeamLimits all{vectors.n, vectors.n, vectors.n};
  const std::size_t reached = base.walk_vectors(vectors, 0, all).size();
  CHECK(reached > 250);
  CHECK(base.walk(vectors, 0, AllowAll{}, all).size() == reached);
}

TEST_CASE("nodes that are not allowed are walked through, nodes at and above the limit are not seen") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 600, 40, 1);
  Base base(vectors, 12);
  std::vector<Slot> some;
  for (Slot slot = 0; slot < vectors.n; slot += 7) some.push_back(slot);
  const RowSet rows = RowSet::from_slots(some, vectors.n);
  const std::vector<Neighbor> found = base.walk(vectors, 14, AllowRows{rows}, {10, 200, vectors.n});
  CHECK(found.size() == 10);
  for (const Neighbor& neighbor : found) CHECK(neighbor.slot % 7 == 0);
  CHECK(found[0].slot == 14);
  for (const Neighbor& neighbor : base.walk(vectors, 14, AllowAll{}, {200, 200, 100})) CHECK(neighbor.slot < 100);
}

TEST_CASE("a walk ends at its budget, at a cancelled token and at nodes without a block") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 600, 40, 1);
  Base base(vectors, 12);
  base.walk(vectors, 3, AllowAll{}, {100, 100, vectors.n, 30});
  CHECK_FALSE(base.finished);
  CHECK(base.stats.distances == 30);
  CancelToken token;
  token.cancel();
  CHECK_THROWS_AS(base.walk(vectors, 3, AllowAll{}, {100, 100, vectors.n, 0, &token}), Cancelled);
  base.codes.forget(first_slots(vectors.n));
  const std::vector<Neighbor> found = base.walk(vectors, 3, AllowAll{}, {100, 100, vectors.n});
  CHECK(found.size() == 1);
  CHECK(found[0].slot == kEntry);
}

TEST_CASE("neighbours whose distances overflow are walked through and found, infinitely far") {
  const Vectors vectors(Metric::kL2, 1, {3e38F, 3e38F, -3e38F, -3e38F});
  MadeEdges edges(4, 1, 1, [](std::size_t i) { return i < 3 ? 1U : 0U; });  // 0 -> 1 -> 2 -> 3
  PackedCodes codes(packed_params(Metric::kL2, 1, 1), 4);
  rebuild(codes, vectors.view(), edges, first_slots(4));
  PackedQuery query;
  query.bind(codes, vectors.row(3), Dtype::kFloat32);
  Scratch scratch;
  SearchStats stats;
  const auto reading = codes.read();
  beam_search(L2Distance(vectors.view(), vectors.row(3)), AllowAll{}, PackedHop(codes, query, 4), {&kEntry, 1},
              {{4, 4, 4}, scratch, stats});
  std::vector<Slot> slots;
  for (const Neighbor& neighbor : scratch.allowed.sorted()) slots.push_back(neighbor.slot);
  CHECK(slots == std::vector<Slot>{2, 3, 0, 1});
}

}  // namespace
}  // namespace vdb
