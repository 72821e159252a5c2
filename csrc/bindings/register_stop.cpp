#include <memory>

#include "bindings/interrupt.h"
#include "bindings/register.h"

namespace py = pybind11;

namespace vdb::bindings {

void register_stop(py::module_& module) {
  py::class_<Stop, std::shared_ptr<Stop>>(module, "Stop")
      .def(py::init<>())
      .def("begin", &Stop::begin, py::arg("seconds"))
      .def("stop", &Stop::stop)
      .def_property_readonly("stopped", &Stop::stopped);
  module.def("watch", &watch, py::arg("stop").none(true));
}

}  // namespace vdb::bindings
