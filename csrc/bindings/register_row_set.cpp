#include <pybind11/operators.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "core/row_set.h"
#include "core/sorted_slots.h"

namespace vdb::bindings {
namespace {

template <class T>
std::vector<T> values(const Array<T>& array, const char* name) {
  const auto view = vector(array, name);
  return {view.begin(), view.end()};
}

template <class T>
Array<T> copied(std::span<const T> values) {
  return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

Array<bool> holds(const RowSet& set, const Array<Slot>& slots) {
  const std::span<const Slot> asked = vector(slots, "slots");
  Array<bool> held(slots.size());
  bool* const out = held.mutable_data();
  for (std::size_t i = 0; i < asked.size(); ++i) out[i] = asked[i] < set.size() && set.contains(asked[i]);
  return held;
}

void register_sorted_slots(py::module_& module) {
  using Keys = Array<SortedSlots::Key>;
  py::class_<SortedSlots>(module, "SortedSlots")
      .def(py::init([](const Keys& keys, const Array<Slot>& slots, std::size_t size) {
             std::vector<SortedSlots::Key> own_keys = values(keys, "keys");
             std::vector<Slot> own_slots = values(slots, "slots");
             const py::gil_scoped_release released;
             return SortedSlots(std::move(own_keys), std::move(own_slots), size);
           }),
           py::arg("keys").noconvert(), py::arg("slots").noconvert(), py::arg("size"))
      .def("between", &SortedSlots::between, py::arg("low"), py::arg("high"), py::arg("size"))
      .def(
          "any_of",
          [](const SortedSlots& sorted, const Keys& keys, std::size_t size) {
            return sorted.any_of(vector(keys, "keys"), size);
          },
          py::arg("keys").noconvert(), py::arg("size"))
      .def("count_between", &SortedSlots::count_between, py::arg("low"), py::arg("high"))
      .def("keys", [](const SortedSlots& sorted) { return copied(sorted.keys()); })
      .def("slots", [](const SortedSlots& sorted) { return copied(sorted.slots()); })
      .def("__len__", &SortedSlots::length)
      .def_property_readonly("memory_bytes", &SortedSlots::memory_bytes);
}

}  // namespace

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
      .def("holds", &holds, py::arg("slots").noconvert())
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
  register_sorted_slots(module);
}

}  // namespace vdb::bindings
