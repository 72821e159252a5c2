// parallel_for over one process-wide pool. The calling thread works too, so a pool of one thread never switches.
// The first exception of any worker ends the loop and is rethrown to the caller.
#pragma once

#include <cstddef>
#include <functional>

namespace vdb {

// Threads the machine offers, at least 1.
std::size_t hardware_threads() noexcept;

// `requested` with 0 meaning all, never above what the pool can give.
std::size_t resolve_threads(std::size_t requested) noexcept;

// Half-open range of indices and the worker (0 <= worker < threads) it runs on.
struct Chunk {
  std::size_t begin;
  std::size_t end;
  std::size_t worker;
};

struct ParallelFor {
  std::size_t n;
  std::size_t grain = 1;
  std::size_t threads = 0;
};

// Calls body on chunks of at most `grain` indices that cover [0, n) once. A call from inside a body runs serially.
void parallel_for(const ParallelFor& loop, const std::function<void(const Chunk&)>& body);

}  // namespace vdb
