// One function per subject; module.cpp calls them in order.
#pragma once

#include <pybind11/pybind11.h>

namespace vdb::bindings {

void register_errors(pybind11::module_& module);
void register_row_set(pybind11::module_& module);
void register_stop(pybind11::module_& module);
void register_vectors(pybind11::module_& module);
void register_codes(pybind11::module_& module);
void register_hnsw(pybind11::module_& module);
void register_cells(pybind11::module_& module);  // after register_hnsw
void register_range(pybind11::module_& module);
void register_label(pybind11::module_& module);  // after register_hnsw
void register_ivf(pybind11::module_& module);
void register_testing(pybind11::module_& module);
void register_runs(pybind11::module_& module);  // after register_testing

}  // namespace vdb::bindings
