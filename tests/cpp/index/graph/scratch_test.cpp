#include "index/graph/scratch.h"

#include <doctest/doctest.h>

#include <atomic>
#include <set>
#include <thread>

namespace vdb {
namespace {

TEST_CASE("a scratch is used by one holder at a time and again after it") {
  ScratchPool pool;
  Scratch* first = nullptr;
  {
    const auto a = pool.take();
    const auto b = pool.take();
    CHECK(a.get() != b.get());
    first = a.get();
  }
  const auto c = pool.take();
  const auto d = pool.take();
  CHECK((c.get() == first || d.get() == first));
}

TEST_CASE("threads that take and give back never share a scratch") {
  ScratchPool pool;
  std::atomic<int> shared{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 300; ++round) {
        const auto scratch = pool.take();
        scratch->row.assign(10, static_cast<Slot>(t));
        std::this_thread::yield();
        for (const Slot slot : scratch->row) shared += slot != t ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(shared == 0);
}

}  // namespace
}  // namespace vdb
