#include "bindings/interrupt.h"

#include <utility>

#include "base/error.h"

namespace vdb::bindings {

namespace py = pybind11;

namespace {

thread_local std::shared_ptr<Stop> watched;

bool is_stopped() noexcept { return watched != nullptr && watched->stopped(); }

}  // namespace

void Stop::begin(double seconds) noexcept {
  const auto now = Clock::now();
  const double most = std::chrono::duration<double>(Clock::time_point::max() - now).count();
  const bool ends = seconds < most / 2;
  end_.store(ends ? now + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))
                  : Clock::time_point::max(),
             std::memory_order_relaxed);
  stopped_.store(false, std::memory_order_relaxed);
}

bool Stop::stopped() const noexcept {
  return stopped_.load(std::memory_order_relaxed) || Clock::now() >= end_.load(std::memory_order_relaxed);
}

void watch(std::shared_ptr<Stop> stop) { watched = std::move(stop); }

void run_interruptible(const std::function<void(CancelToken&)>& work) {
  if (is_stopped()) throw Cancelled();
  bool cancelled = false;
  {
    const py::gil_scoped_release release;
    CancelToken token([] {
      if (is_stopped()) return true;
      const py::gil_scoped_acquire acquire;
      return PyErr_CheckSignals() != 0;
    });
    try {
      work(token);
    } catch (const Cancelled&) {
      cancelled = true;
    }
  }
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  if (cancelled) throw Cancelled();
}

void report_progress(const py::object& callback, CancelToken& token, std::size_t done, std::size_t total) {
  if (callback.is_none()) return;
  const py::gil_scoped_acquire acquire;
  try {
    callback(done, total);
  } catch (py::error_already_set& error) {
    error.restore();
    token.cancel();
    throw Cancelled();
  }
}

}  // namespace vdb::bindings
