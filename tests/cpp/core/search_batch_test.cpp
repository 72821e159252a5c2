#include "core/search_batch.h"

#include <doctest/doctest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "core/distance.h"

namespace vdb {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The outputs of three queries, of which a test writes the one in the middle.
struct Outputs {
  explicit Outputs(std::size_t k) : batch{nullptr, 3, k, nullptr, 1, nullptr}, slots(3 * k, 77), distances(3 * k, -1) {}

  template <class Distance>
  void write(const std::vector<Neighbor>& nearest) {
    write_answer<Distance>(nearest, batch, 1, {slots.data(), distances.data()}, stats);
  }

  QueryBatch batch;
  std::vector<Slot> slots;
  std::vector<float> distances;
  SearchStats stats;
};

TEST_CASE("an answer is padded behind what was found, and other queries are left alone") {
  Outputs out(4);
  out.write<L2Distance>({{4, 7}, {9, 2}});
  CHECK(out.slots == std::vector<Slot>{77, 77, 77, 77, 7, 2, kAbsentSlot, kAbsentSlot, 77, 77, 77, 77});
  CHECK(out.distances == std::vector<float>{-1, -1, -1, -1, 2, 3, kInfinity, kInfinity, -1, -1, -1, -1});
  CHECK(out.stats.tied.empty());
}

TEST_CASE("an answer is cut at k") {
  Outputs out(2);
  out.write<InnerProductDistance>({{4, 7}, {9, 2}, {16, 5}});
  CHECK(out.slots == std::vector<Slot>{77, 77, 7, 2, 77, 77});
  CHECK(out.distances == std::vector<float>{-1, -1, 4, 9, -1, -1});
}

TEST_CASE("an answer of nothing is padding") {
  Outputs out(2);
  out.write<L2Distance>({});
  CHECK(out.slots == std::vector<Slot>{77, 77, kAbsentSlot, kAbsentSlot, 77, 77});
  CHECK(out.stats.tied.empty());
}

TEST_CASE("a query with equal reported distances is noted as tied, once") {
  Outputs out(4);
  out.write<L2Distance>({{4, 1}, {4, 2}, {9, 3}, {9, 5}});
  CHECK(out.stats.tied == std::vector<std::uint32_t>{1});
}

TEST_CASE("distances that differ before the square root and not after are tied") {
  float squared = 3.5F;  // half of the values here share their root with the next
  float next = std::nextafter(squared, 4.0F);
  while (std::sqrt(squared) != std::sqrt(next)) squared = std::exchange(next, std::nextafter(next, 4.0F));
  Outputs out(2);
  out.write<L2Distance>({{squared, 9}, {next, 3}});
  CHECK(out.stats.tied == std::vector<std::uint32_t>{1});
}

TEST_CASE("a tie between the last of an answer and the row behind it is noted as cut") {
  Outputs out(2);
  out.write<L2Distance>({{1, 1}, {4, 2}, {4, 3}});
  CHECK(out.stats.cut == std::vector<std::uint32_t>{1});
  CHECK(out.stats.tied.empty());
}

TEST_CASE("an answer that ends at the last row there is, or before a farther one, cuts nothing") {
  Outputs whole(2);
  whole.write<L2Distance>({{4, 1}, {4, 2}});
  CHECK(whole.stats.cut.empty());
  Outputs farther(2);
  farther.write<L2Distance>({{1, 1}, {4, 2}, {9, 3}});
  CHECK(farther.stats.cut.empty());
  Outputs padded(4);
  padded.write<L2Distance>({{1, 1}});
  CHECK(padded.stats.cut.empty());
  CHECK(padded.stats.tied.empty());
}

TEST_CASE("stats add up and sort by query") {
  SearchStats a{10, 20, 4, 2, 30, {7}, {4}, {}, 1};
  a += SearchStats{5, 6, 3, 1, 8, {1}, {}, {3}, 2};
  a += SearchStats{0, 0, 0, 0, 0, {}, {2}, {0}};
  a.sort();
  CHECK(a.distances == 15);
  CHECK(a.estimates == 26);
  CHECK(a.refined == 7);
  CHECK(a.hops == 3);
  CHECK(a.tests == 38);
  CHECK(a.unfinished == std::vector<std::uint32_t>{1, 7});
  CHECK(a.tied == std::vector<std::uint32_t>{2, 4});
  CHECK(a.cut == std::vector<std::uint32_t>{0, 3});
}

}  // namespace
}  // namespace vdb
