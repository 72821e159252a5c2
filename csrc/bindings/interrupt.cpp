#include "bindings/interrupt.h"

#include "base/error.h"

namespace vdb::bindings {

namespace py = pybind11;

void run_interruptible(const std::function<void(CancelToken&)>& work) {
  bool cancelled = false;
  {
    const py::gil_scoped_release release;
    CancelToken token([] {
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
