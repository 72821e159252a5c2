#include "base/aligned_buffer.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <utility>

namespace vdb {
namespace {

bool is_aligned(const void* p, std::size_t alignment) { return reinterpret_cast<std::uintptr_t>(p) % alignment == 0; }

TEST_CASE("a buffer starts on a cache line, a large one on a huge page") {
  for (const std::size_t size : {1U, 3U, 100U, 5000U}) {
    const AlignedBuffer<std::uint32_t> buffer(size, 7);
    CHECK(is_aligned(buffer.data(), kCacheLineBytes));
  }
  const AlignedBuffer<std::uint32_t> large(kHugePageBytes / sizeof(std::uint32_t), 7);
  CHECK(large.bytes() == kHugePageBytes);
  CHECK(is_aligned(large.data(), kHugePageBytes));
}

TEST_CASE("a buffer holds its fill value everywhere") {
  const AlignedBuffer<std::uint8_t> buffer(1000, 255);
  CHECK(buffer.size() == 1000);
  CHECK(std::count(buffer.span().begin(), buffer.span().end(), 255) == 1000);
}

TEST_CASE("a buffer of nothing can be made, viewed and grown") {
  const AlignedBuffer<float> by_default;
  CHECK(by_default.size() == 0);
  CHECK(by_default.span().empty());
  const AlignedBuffer<float> empty(0, 1.0F);
  CHECK(empty.bytes() == 0);
  CHECK(empty.grown(2, 5.0F)[1] == 5.0F);
  CHECK(by_default.grown(2, 5.0F)[0] == 5.0F);
}

TEST_CASE("a grown buffer keeps its head and fills its tail") {
  AlignedBuffer<std::uint32_t> buffer(10, 1);
  for (std::uint32_t i = 0; i < 10; ++i) buffer[i] = i;
  const AlignedBuffer<std::uint32_t> larger = buffer.grown(1'000'000, 42);
  CHECK(larger.size() == 1'000'000);
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < larger.size(); ++i) wrong += larger[i] != (i < 10 ? i : 42) ? 1U : 0U;
  CHECK(wrong == 0);
  CHECK(buffer[9] == 9);
}

TEST_CASE("growing to a smaller size keeps the head") {
  AlignedBuffer<std::uint32_t> buffer(10, 3);
  buffer[4] = 9;
  const AlignedBuffer<std::uint32_t> smaller = buffer.grown(5, 0);
  CHECK(smaller.size() == 5);
  CHECK(smaller[4] == 9);
}

TEST_CASE("a borrowed buffer keeps its owner, and a grown copy of it does not") {
  const auto owner = std::make_shared<AlignedBuffer<std::uint32_t>>(16, 7);
  AlignedBuffer<std::uint32_t> larger;
  {
    AlignedBuffer<std::uint32_t> borrowed(owner->data(), 16, owner);
    CHECK(owner.use_count() == 2);
    CHECK(borrowed.data() == owner->data());
    borrowed[3] = 9;
    CHECK((*owner)[3] == 9);
    const AlignedBuffer<std::uint32_t> moved = std::move(borrowed);
    CHECK(owner.use_count() == 2);
    larger = moved.grown(20, 1);
  }
  CHECK(owner.use_count() == 1);
  larger[0] = 5;
  CHECK((*owner)[0] == 7);
  CHECK(larger[3] == 9);
  CHECK(larger[19] == 1);
}

TEST_CASE("a borrowed buffer lets go when another takes its place") {
  const auto owner = std::make_shared<AlignedBuffer<std::uint32_t>>(16, 7);
  AlignedBuffer<std::uint32_t> buffer(owner->data(), 16, owner);
  buffer = AlignedBuffer<std::uint32_t>(4, 2);
  CHECK(owner.use_count() == 1);
  buffer = AlignedBuffer<std::uint32_t>(owner->data(), 16, owner);
  CHECK(buffer[15] == 7);
}

}  // namespace
}  // namespace vdb
