#include "base/thread_pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace vdb {
namespace {

// How often a loop visited each of its indices.
std::vector<int> visits_of(const ParallelFor& loop) {
  std::vector<std::atomic<int>> visits(loop.n);
  parallel_for(loop, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) visits[i].fetch_add(1);
  });
  return {visits.begin(), visits.end()};
}

TEST_CASE("every index is visited once for any size, grain and number of threads") {
  for (const std::size_t n : {0U, 1U, 2U, 7U, 64U, 1000U}) {
    for (const std::size_t grain : {0U, 1U, 3U, 64U, 5000U}) {
      for (const std::size_t threads : {0U, 1U, 2U, 64U}) {
        CAPTURE(n);
        CAPTURE(grain);
        CAPTURE(threads);
        CHECK(visits_of({n, grain, threads}) == std::vector<int>(n, 1));
      }
    }
  }
}

TEST_CASE("chunks are no larger than the grain and carry a worker below the number of threads") {
  std::atomic<bool> sound{true};
  parallel_for({1000, 7, 2}, [&](const Chunk& chunk) {
    const bool holds = chunk.begin < chunk.end && chunk.end - chunk.begin <= 7 && chunk.worker < resolve_threads(2);
    if (!holds) sound = false;
  });
  CHECK(sound);
}

TEST_CASE("no two chunks of one worker run at once") {
  std::vector<std::atomic<int>> running(hardware_threads());
  std::atomic<bool> alone{true};
  parallel_for({2000, 1, 0}, [&](const Chunk& chunk) {
    if (running[chunk.worker].fetch_add(1) != 0) alone = false;
    running[chunk.worker].fetch_sub(1);
  });
  CHECK(alone);
}

TEST_CASE("one thread means the caller's, in order") {
  std::set<std::thread::id> threads;
  std::vector<std::size_t> order;
  parallel_for({100, 3, 1}, [&](const Chunk& chunk) {
    threads.insert(std::this_thread::get_id());
    order.push_back(chunk.begin);
  });
  CHECK(threads == std::set{std::this_thread::get_id()});
  CHECK(order.size() == 34);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("requested threads are bounded by the machine and zero means all") {
  CHECK(hardware_threads() >= 1);
  CHECK(resolve_threads(0) == hardware_threads());
  CHECK(resolve_threads(1) == 1);
  CHECK(resolve_threads(1'000'000) == hardware_threads());
}

TEST_CASE("an exception reaches the caller and ends the loop") {
  std::size_t done = 0;
  const auto fail_at_37 = [&](const Chunk& chunk) {
    if (chunk.begin == 37) throw std::out_of_range("37");
    ++done;
  };
  CHECK_THROWS_WITH_AS(parallel_for({1000, 1, 1}, fail_at_37), "37", std::out_of_range);
  CHECK(done == 37);
}

TEST_CASE("of many exceptions one reaches the caller, and the pool goes on working") {
  for (int round = 0; round < 50; ++round) {
    CHECK_THROWS_AS(
        parallel_for({100, 1, 0}, [](const Chunk& chunk) { throw std::out_of_range(std::to_string(chunk.begin)); }),
        std::out_of_range);
    CHECK(visits_of({100, 1, 0}) == std::vector<int>(100, 1));
  }
}

TEST_CASE("a loop inside a body runs on the thread of that body") {
  constexpr std::size_t kOuter = 20;
  constexpr std::size_t kInner = 50;
  std::vector<std::atomic<int>> visits(kOuter * kInner);
  std::atomic<bool> serial{true};
  parallel_for({kOuter, 1, 0}, [&](const Chunk& outer) {
    const std::thread::id caller = std::this_thread::get_id();
    parallel_for({kInner, 4, 0}, [&](const Chunk& inner) {
      if (std::this_thread::get_id() != caller || inner.worker != 0) serial = false;
      for (std::size_t i = inner.begin; i < inner.end; ++i) visits[outer.begin * kInner + i].fetch_add(1);
    });
  });
  CHECK(serial);
  CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }));
}

TEST_CASE("after an inner loop the outer one is still inside a body") {
  std::atomic<bool> serial{true};
  parallel_for({8, 1, 0}, [&](const Chunk&) {
    const std::thread::id caller = std::this_thread::get_id();
    for (int round = 0; round < 3; ++round) {
      parallel_for({8, 1, 0}, [&](const Chunk&) {
        if (std::this_thread::get_id() != caller) serial = false;
      });
    }
  });
  CHECK(serial);
}

TEST_CASE("a loop inside a loop of one thread does not wake the pool") {
  std::set<std::thread::id> threads;
  std::mutex mutex;
  parallel_for({4, 1, 1}, [&](const Chunk&) {
    parallel_for({100, 1, 0}, [&](const Chunk&) {
      const std::lock_guard lock(mutex);
      threads.insert(std::this_thread::get_id());
      std::this_thread::yield();
    });
  });
  CHECK(threads == std::set{std::this_thread::get_id()});
}

TEST_CASE("an exception of an inner loop passes through the outer one") {
  const auto inner = [](const Chunk&) { throw std::out_of_range("inner"); };
  const auto outer = [&](const Chunk&) { parallel_for({4, 1, 0}, inner); };
  CHECK_THROWS_WITH_AS(parallel_for({4, 1, 0}, outer), "inner", std::out_of_range);
}

TEST_CASE("callers at the same time do not disturb each other") {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        if (visits_of({200, 3, 0}) != std::vector<int>(200, 1)) ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("what a body wrote is visible to the caller") {
  std::vector<std::size_t> squares(5000);
  parallel_for({squares.size(), 16, 0}, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) squares[i] = i * i;
  });
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < squares.size(); ++i) wrong += squares[i] != i * i ? 1U : 0U;
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace vdb
