#include "index/graph/packed_codes.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "data.h"
#include "index/graph/packed_cases.h"

namespace vdb {
namespace {

using testing::clustered_vectors;
using testing::first_slots;
using testing::kDtypes;
using testing::MadeEdges;
using testing::packed_params;
using testing::rebuild;
using testing::StoredVectors;
using testing::Vectors;

std::vector<std::uint8_t> bytes_of(const PackedCodes& codes, Slot slot) {
  const auto reading = codes.read();
  const std::uint8_t* const block = codes.block(slot);
  REQUIRE(block != nullptr);
  return {block, block + codes.layout().block_bytes()};
}

std::vector<Slot> slots_of(const PackedCodes& codes, Slot slot) {
  const std::vector<std::uint8_t> block = bytes_of(codes, slot);
  std::vector<Slot> slots;
  for (std::size_t g = 0; g < codes.layout().groups; ++g) {
    const Slot* const group = codes.layout().slots(block.data(), g);
    slots.insert(slots.end(), group, group + PackedLayout::kGroup);
  }
  return slots;
}

TEST_CASE("a block is codes, factors and slots, group by group, on whole cache lines") {
  const PackedLayout layout(384, 33);
  CHECK(layout.groups == 2);
  CHECK(layout.code_bytes() == 384 / 8 * 32);
  CHECK(layout.group_bytes() == 1536 + 256 + 128);
  CHECK(layout.block_bytes() == 2 * layout.group_bytes());
  for (const std::size_t dim : {64U, 128U, 192U, 1088U}) CHECK(PackedLayout(dim, 1).group_bytes() % 64 == 0);
}

TEST_CASE("a block holds the neighbours of its node in the order of the edges and is padded with absent slots") {
  const std::size_t n = 90;
  const Vectors vectors = clustered_vectors(Metric::kL2, n, 20, 1);
  MadeEdges edges(n, 40, 1, [](std::size_t i) { return i % 41; });
  PackedCodes codes(packed_params(Metric::kL2, 20, 40), n);
  rebuild(codes, vectors.view(), edges, first_slots(n));
  for (const Slot node : {0U, 1U, 31U, 32U, 33U, 40U, 89U}) {
    CAPTURE(node);
    std::vector<Slot> expected = edges.row(node);
    expected.resize(64, kAbsentSlot);
    CHECK(slots_of(codes, node) == expected);
  }
}

TEST_CASE("the signs of a neighbour are those of its rotated residual, eight dimensions a byte") {
  const std::size_t dim = 70;
  const Vectors vectors = clustered_vectors(Metric::kL2, 40, dim, 2);
  MadeEdges edges(40, 32, 1, [](std::size_t) { return 32U; });
  PackedCodes codes(packed_params(Metric::kL2, dim, 32), 40);
  rebuild(codes, vectors.view(), edges, first_slots(1));
  const std::vector<std::uint8_t> block = bytes_of(codes, 0);
  const PackedLayout& layout = codes.layout();
  std::vector<float> node(layout.padded_dim);
  codes.rotation().apply(vectors.row(0), node.data());
  for (const std::size_t i : {0U, 7U, 31U}) {
    std::vector<float> row(layout.padded_dim);
    codes.rotation().apply(vectors.row(1 + i), row.data());
    for (std::size_t d = 0; d < layout.padded_dim; ++d) {
      const unsigned byte = layout.codes(block.data(), 0)[d / 8 * 32 + i];
      CHECK((byte >> d % 8 & 1U) == (row[d] - node[d] >= 0 ? 1U : 0U));
    }
  }
}

TEST_CASE("blocks do not depend on the number of threads, and every stored dtype is read") {
  const std::size_t n = 300;
  const Vectors integers = testing::integer_vectors(Metric::kCosine, n, 33, 3);
  MadeEdges edges(n, 12, 7, [](std::size_t i) { return i % 13; });
  PackedCodes expected(packed_params(Metric::kCosine, 33, 12), n);
  rebuild(expected, integers.view(), edges, first_slots(n));
  for (const Dtype dtype : kDtypes) {
    const StoredVectors stored(integers, dtype);
    for (const std::size_t threads : {1U, 4U}) {
      PackedCodes codes(packed_params(Metric::kCosine, 33, 12), n);
      rebuild(codes, stored.view(), edges, first_slots(n), threads);
      for (Slot slot = 0; slot < n; ++slot) CHECK(bytes_of(codes, slot) == bytes_of(expected, slot));
    }
  }
}

TEST_CASE("a node has no block before it is built nor after it is forgotten, and its place is used again") {
  const std::size_t n = 50;
  const Vectors vectors = clustered_vectors(Metric::kL2, n, 8, 1);
  MadeEdges edges(n, 4, 1, [](std::size_t) { return 4U; });
  PackedCodes codes(packed_params(Metric::kL2, 8, 4), n);
  const std::array<Slot, 2> nodes{3, 4};
  CHECK(codes.block(3) == nullptr);
  codes.prefetch(3);
  const std::size_t memory = codes.memory_bytes();
  for (int i = 0; i < 500; ++i) {
    rebuild(codes, vectors.view(), edges, nodes);
    CHECK(codes.block(3) != nullptr);
    CHECK(codes.block(5) == nullptr);
    codes.forget(nodes);
    codes.forget(nodes);
    CHECK(codes.block(3) == nullptr);
  }
  CHECK(codes.memory_bytes() == memory);
}

TEST_CASE("a node that is named twice has the block of one that is named once") {
  const std::size_t n = 50;
  const Vectors vectors = clustered_vectors(Metric::kL2, n, 8, 1);
  MadeEdges edges(n, 4, 1, [](std::size_t) { return 4U; });
  PackedCodes codes(packed_params(Metric::kL2, 8, 4), n);
  const std::vector<Slot> often(500, 7);
  rebuild(codes, vectors.view(), edges, often, 4);
  CHECK(slots_of(codes, 7)[0] == 8);
  rebuild(codes, vectors.view(), edges, first_slots(n));
  for (Slot slot = 0; slot < n; ++slot) CHECK(slots_of(codes, slot)[0] == (slot + 1) % n);
}

TEST_CASE("a grown copy has the same blocks and room for more") {
  const std::size_t n = 200;
  const Vectors vectors = clustered_vectors(Metric::kInnerProduct, n, 24, 4);
  MadeEdges edges(n, 8, 3, [](std::size_t) { return 8U; });
  PackedCodes small(packed_params(Metric::kInnerProduct, 24, 8), 120);
  rebuild(small, vectors.first(120), edges, first_slots(120));
  rebuild(small, vectors.first(120), edges, first_slots(30));
  PackedCodes large(small, n);
  CHECK(large.slots() == n);
  for (Slot slot = 0; slot < 120; ++slot) CHECK(bytes_of(large, slot) == bytes_of(small, slot));
  CHECK(large.block(120) == nullptr);
  PackedCodes expected(packed_params(Metric::kInnerProduct, 24, 8), n);
  rebuild(expected, vectors.view(), edges, first_slots(n));
  for (int i = 0; i < 3; ++i) rebuild(large, vectors.view(), edges, first_slots(n));
  for (Slot slot = 0; slot < n; ++slot) CHECK(bytes_of(large, slot) == bytes_of(expected, slot));
  CHECK(large.memory_bytes() > small.memory_bytes());
}

TEST_CASE("wrong parameters, slots, views and edges are refused") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 10, 8, 1);
  MadeEdges edges(10, 4, 1, [](std::size_t) { return 4U; });
  MadeEdges wide(10, 33, 1, [](std::size_t) { return 1U; });
  CHECK_THROWS_AS(PackedCodes(packed_params(Metric::kL2, 0, 4), 10), InvalidArgument);
  CHECK_THROWS_AS(PackedCodes(packed_params(Metric::kL2, 8, 0), 10), InvalidArgument);
  CHECK_THROWS_AS(PackedCodes({8, Metric::kL2, 4, 0, std::vector<float>(7)}, 10), InvalidArgument);
  CHECK_THROWS_AS(PackedCodes(packed_params(Metric::kL2, 8, 4), kMaxSlots + 1), InvalidArgument);
  PackedCodes codes(packed_params(Metric::kL2, 8, 4), 10);
  CHECK_THROWS_AS(PackedCodes(codes, 9), InvalidArgument);
  CHECK_THROWS_AS(PackedCodes(codes, kMaxSlots + 1), InvalidArgument);
  const std::array<Slot, 1> outside{10};
  CHECK_THROWS_AS(rebuild(codes, vectors.view(), edges, outside), InvalidArgument);
  CHECK_THROWS_AS(codes.forget(outside), InvalidArgument);
  CHECK_THROWS_AS(rebuild(codes, vectors.view(), wide, first_slots(1)), InvalidArgument);
  const Vectors other(Metric::kInnerProduct, 8, vectors.values);
  CHECK_THROWS_AS(rebuild(codes, other.view(), edges, first_slots(1)), InvalidArgument);
  const Vectors narrow = clustered_vectors(Metric::kL2, 10, 7, 1);
  CHECK_THROWS_AS(rebuild(codes, narrow.view(), edges, first_slots(1)), InvalidArgument);
  CHECK(codes.block(0) == nullptr);
}

TEST_CASE("a cancelled rebuild leaves what was there") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 10, 8, 1);
  MadeEdges edges(10, 4, 1, [](std::size_t) { return 4U; });
  PackedCodes codes(packed_params(Metric::kL2, 8, 4), 10);
  rebuild(codes, vectors.view(), edges, first_slots(10));
  const std::vector<std::uint8_t> before = bytes_of(codes, 2);
  CancelToken token;
  token.cancel();
  CHECK_THROWS_AS(codes.rebuild(vectors.view(), edges.adjacency(), first_slots(10), 1, &token), Cancelled);
  CHECK(bytes_of(codes, 2) == before);
}

TEST_CASE("readers beside rebuilds see each block whole, of one moment or another") {
  const std::size_t n = 60;
  const Vectors vectors = clustered_vectors(Metric::kL2, n, 16, 1);
  std::array<MadeEdges, 2> edges{MadeEdges(n, 8, 1, [](std::size_t) { return 8U; }),
                                 MadeEdges(n, 8, 5, [](std::size_t i) { return 1 + i % 7; })};
  std::array<std::vector<std::vector<std::uint8_t>>, 2> expected;
  for (std::size_t version = 0; version < 2; ++version) {
    PackedCodes codes(packed_params(Metric::kL2, 16, 8), n);
    rebuild(codes, vectors.view(), edges[version], first_slots(n));
    for (Slot slot = 0; slot < n; ++slot) expected[version].push_back(bytes_of(codes, slot));
  }
  PackedCodes codes(packed_params(Metric::kL2, 16, 8), n);
  rebuild(codes, vectors.view(), edges[0], first_slots(n));
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  const auto read = [&] {
    for (bool last = false; !last;) {
      last = done;
      const auto reading = codes.read();
      for (Slot slot = 0; slot < n; ++slot) {
        const std::uint8_t* const block = codes.block(slot);
        const auto is = [&](std::size_t version) {
          return std::memcmp(block, expected[version][slot].data(), codes.layout().block_bytes()) == 0;
        };
        wrong += is(0) || is(1) ? 0U : 1U;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back(read);
  for (std::size_t round = 0; round < 40; ++round) {
    rebuild(codes, vectors.view(), edges[round % 2], first_slots(n), 2);
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace vdb
