#include "index/graph/prune.h"

#include <doctest/doctest.h>

#include "core/distance.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Vectors;

// Every other row as a candidate of row 0, nearest first.
template <class Distance>
std::vector<Neighbor> candidates_of(const Vectors& vectors) {
  const Distance distance(vectors.view(), Slot{0});
  std::vector<Neighbor> candidates;
  for (Slot slot = 1; slot < vectors.n; ++slot) candidates.push_back({distance(slot), slot});
  std::sort(candidates.begin(), candidates.end());
  return candidates;
}

template <class Distance>
bool is_occluded(const Vectors& vectors, const Neighbor& candidate, const std::vector<Neighbor>& kept) {
  const Distance distance(vectors.view(), candidate.slot);
  return std::any_of(kept.begin(), kept.end(),
                     [&](const Neighbor& k) { return distance(k.slot) < candidate.distance; });
}

template <class Distance>
void check_metric(Metric metric) {
  for (const std::size_t dim : {2U, 8U, 32U}) {
    const Vectors vectors = testing::uniform_vectors(metric, 120, dim, dim);
    const std::vector<Neighbor> candidates = candidates_of<Distance>(vectors);
    for (const std::size_t max : {1U, 3U, 16U, 32U, 118U}) {
      std::vector<Neighbor> expected;  // algorithm 4, word by word
      for (const Neighbor& candidate : candidates) {
        if (expected.size() < max && !is_occluded<Distance>(vectors, candidate, expected))
          expected.push_back(candidate);
      }
      std::vector<Neighbor> selected{{99, 99}};
      select_neighbors<Distance>(vectors.view(), candidates, {max}, selected);
      CHECK((selected == expected));
      CHECK((selected.front() == candidates.front()));
      CHECK(std::is_sorted(selected.begin(), selected.end()));
    }
  }
}

TEST_CASE("a candidate is kept exactly if no kept one is nearer to it than the node is") {
  check_metric<L2Distance>(Metric::kL2);
  check_metric<CosineDistance>(Metric::kCosine);
  check_metric<InnerProductDistance>(Metric::kInnerProduct);
}

TEST_CASE("as many candidates as there is room are all kept") {
  const Vectors vectors = testing::uniform_vectors(Metric::kL2, 17, 2, 1);
  const std::vector<Neighbor> candidates = candidates_of<L2Distance>(vectors);
  std::vector<Neighbor> selected;
  select_neighbors<L2Distance>(vectors.view(), candidates, {16}, selected);
  CHECK((selected == candidates));
  select_neighbors<L2Distance>(vectors.view(), candidates, {15}, selected);
  CHECK(selected.size() < 15);
  select_neighbors<L2Distance>(vectors.view(), {}, {15}, selected);
  CHECK(selected.empty());
}

TEST_CASE("edges spread: of a cloud and a lone row beyond it both are kept") {
  // The node at 0, five rows near 1, one at -2 that is farther than all of them.
  const Vectors vectors(Metric::kL2, 1, {0, 1.0F, 1.01F, 1.02F, 1.03F, 1.04F, -2.0F});
  std::vector<Neighbor> selected;
  select_neighbors<L2Distance>(vectors.view(), candidates_of<L2Distance>(vectors), {3}, selected);
  REQUIRE(selected.size() == 2);
  CHECK(selected[0].slot == 1);
  CHECK(selected[1].slot == 6);
}

TEST_CASE("the nearest of those that others occlude fill up to the least, in order") {
  const Vectors vectors(Metric::kL2, 1, {0, 1.0F, 1.01F, 1.02F, 1.03F, 1.04F, -2.0F});
  std::vector<Neighbor> selected;
  select_neighbors<L2Distance>(vectors.view(), candidates_of<L2Distance>(vectors), {5, 4}, selected);
  REQUIRE(selected.size() == 4);
  CHECK(selected[0].slot == 1);
  CHECK(selected[1].slot == 2);
  CHECK(selected[2].slot == 3);
  CHECK(selected[3].slot == 6);
}

TEST_CASE("copies of the node are no reason to drop each other") {
  const Vectors vectors(Metric::kL2, 1, std::vector<float>(10, 5.0F));
  std::vector<Neighbor> selected;
  select_neighbors<L2Distance>(vectors.view(), candidates_of<L2Distance>(vectors), {4}, selected);
  CHECK(selected.size() == 4);
}

}  // namespace
}  // namespace vdb
