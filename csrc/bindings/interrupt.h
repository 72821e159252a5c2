// Runs core work without the GIL while the calling thread still answers Ctrl-C and reports progress.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "base/cancel.h"

namespace vdb::bindings {

// What ends the calls of a thread besides Ctrl-C: another thread, or the time. It serves one call after the other.
class Stop {
 public:
  // Forgets what came before; ends what runs `seconds` from now, or never where that is infinite.
  void begin(double seconds) noexcept;
  void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }
  bool stopped() const noexcept;

 private:
  using Clock = std::chrono::steady_clock;

  std::atomic<bool> stopped_{false};
  std::atomic<Clock::time_point> end_{Clock::time_point::max()};
};

// Lets the calls of this thread look at `stop` from now on; nullptr ends that.
void watch(std::shared_ptr<Stop> stop);

// Calls work(token) with the GIL released. A signal handler that raises, or a progress callback that does, cancels the
// token, and its exception is what the caller gets; what the thread watches makes it Cancelled.
void run_interruptible(const std::function<void(CancelToken&)>& work);

// Calls `callback(done, total)` with the GIL, if there is one; its exception cancels the work.
void report_progress(const pybind11::object& callback, CancelToken& token, std::size_t done, std::size_t total);

}  // namespace vdb::bindings
