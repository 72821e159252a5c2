// Mostly for the thread sanitizer: plain values are written where only a wait keeps readers out.
#include "index/graph/packed_readers.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace vdb {
namespace {

TEST_CASE("a wait with no reader returns at once, as often as one likes") {
  PackedReaders readers;
  for (int i = 0; i < 5; ++i) readers.wait_for_earlier();
}

TEST_CASE("a wait lasts as long as a reader that began before it") {
  PackedReaders readers;
  std::atomic<bool> waited{false};
  std::thread writer;
  {
    const auto reading = readers.read();
    writer = std::thread([&] {
      readers.wait_for_earlier();
      waited = true;
    });
    for (int i = 0; i < 100; ++i) std::this_thread::yield();
    CHECK_FALSE(waited);
  }
  writer.join();
  CHECK(waited);
}

TEST_CASE("a wait ends although there is always some reader") {
  PackedReaders readers;
  const auto begin = [&] {
    return std::unique_ptr<PackedReaders::Reading>(new PackedReaders::Reading(readers.read()));
  };
  auto reading = begin();
  std::atomic<bool> waited{false};
  std::thread writer([&] {
    readers.wait_for_earlier();
    waited = true;
  });
  while (!waited) {
    auto next = begin();
    reading = std::move(next);  // ends the one before
  }
  writer.join();
}

TEST_CASE("what a reader found is not overwritten before the reader ends") {
  constexpr int kVersions = 300;
  constexpr std::size_t kPlaces = 2;
  PackedReaders readers;
  std::array<std::array<int, 8>, kPlaces> places{};
  std::atomic<std::size_t> current{0};
  std::atomic<bool> done{false};
  std::atomic<std::size_t> torn{0};
  const auto read = [&] {
    while (!done) {
      const auto reading = readers.read();
      const auto& place = places[current.load(std::memory_order_acquire)];
      for (const int value : place) torn += value == place[0] ? 0U : 1U;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(read);
  for (int version = 1; version <= kVersions; ++version) {
    const std::size_t next = 1 - current.load(std::memory_order_relaxed);
    places[next].fill(version);
    current.store(next, std::memory_order_release);
    readers.wait_for_earlier();
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(torn == 0);
}

}  // namespace
}  // namespace vdb
