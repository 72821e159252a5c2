// Runs core work without the GIL while the calling thread still answers Ctrl-C and reports progress.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>

#include "base/cancel.h"

namespace vdb::bindings {

// Calls work(token) with the GIL released. A signal handler that raises, or a progress callback that does, cancels the
// token, and its exception is what the caller gets.
void run_interruptible(const std::function<void(CancelToken&)>& work);

// Calls `callback(done, total)` with the GIL, if there is one; its exception cancels the work.
void report_progress(const pybind11::object& callback, CancelToken& token, std::size_t done, std::size_t total);

}  // namespace vdb::bindings
