#include <pybind11/operators.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "core/row_set.h"

namespace vdb::bindings {

void register_row_set(py::module_& module) {
  module.attr("ABSENT_SLOT") = kAbsentSlot;
  py::class_<RowSet>(module, "RowSet")
      .def_static("all", &RowSet::all, py::arg("size"))
      .def_static("none", &RowSet::none, py::arg("size"))
      .def_static("from_range", &RowSet::from_range, py::arg("begin"), py::arg("end"), py::arg("size"))
      .def_static(
          "from_slots",
          [](const Array<Slot>& slots, std::size_t size) { return RowSet::from_slots(vector(slots, "slots"), size); },
          py::arg("slots").noconvert(), py::arg("size"))
      .def_static(
          "from_bools",
          [](const Array<bool>& allowed) {
            const auto bools = vector(allowed, "allowed");
            return RowSet::from_bools({reinterpret_cast<const std::uint8_t*>(bools.data()), bools.size()});
          },
          py::arg("allowed").noconvert())
      .def_property_readonly("count", &RowSet::count)
      .def_property_readonly("size", &RowSet::size)
      .def("__len__", &RowSet::count)
      .def("__contains__", [](const RowSet& set,
                              std::size_t slot) { return slot < set.size() && set.contains(static_cast<Slot>(slot)); })
      .def(py::self == py::self)
      .def(py::self & py::self)
      .def(py::self | py::self)
      .def(py::self - py::self)
      .def("__invert__", [](const RowSet& set) { return ~set; })
      .def("resized", &RowSet::resized, py::arg("size"), py::arg("fill") = false)
      .def("to_slots", [](const RowSet& set) { return to_array(set.to_slots()); })
      .def("__repr__", [](const RowSet& set) {
        return "RowSet(" + std::to_string(set.count()) + " of " + std::to_string(set.size()) + ")";
      });
}

}  // namespace vdb::bindings
