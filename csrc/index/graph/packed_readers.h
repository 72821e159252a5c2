// Who still reads what a writer has replaced: readers say when they begin and end, at the cost of one atomic addition
// each, and a writer waits until all that began before it asked have ended. Readers never wait, and new ones do not
// prolong the writer's wait: there are two counters, and a wait turns new readers to the other one (the scheme of
// sleepable read-copy-update, McKenney 2006).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/prefetch.h"

namespace vdb {

class PackedReaders {
 public:
  // While it lives, its thread may read.
  class Reading {
   public:
    explicit Reading(std::atomic<std::uint32_t>& counter) noexcept : counter_(&counter) {
      // Acquires what a writer published before it found this counter at zero.
      counter_->fetch_add(1, std::memory_order_acq_rel);
    }
    ~Reading() { counter_->fetch_sub(1, std::memory_order_acq_rel); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    std::atomic<std::uint32_t>* counter_;
  };

  Reading read() noexcept { return Reading(counters_[phase_.load(std::memory_order_acquire)].active); }

  // Returns once every reader has ended that may have seen what was replaced before the call. One writer at a time;
  // never while its own thread reads.
  void wait_for_earlier() noexcept;

 private:
  struct alignas(kCacheLineBytes) Counter {
    std::atomic<std::uint32_t> active{0};
  };

  void drain(std::size_t phase) noexcept;

  std::array<Counter, 2> counters_;
  std::atomic<std::size_t> phase_{0};
};

}  // namespace vdb
