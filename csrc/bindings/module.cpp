#include "bindings/register.h"
#include "simd/isa.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The compiled core of vdb; see _core.pyi for the contract of each function.";
  vdb::active_isa();  // a wrong VDB_ISA is an ImportError here, not a surprise in the first search
  vdb::bindings::register_errors(module);
  vdb::bindings::register_stop(module);
  vdb::bindings::register_row_set(module);
  vdb::bindings::register_vectors(module);
  vdb::bindings::register_codes(module);
  vdb::bindings::register_hnsw(module);
  vdb::bindings::register_cells(module);
  vdb::bindings::register_range(module);
  vdb::bindings::register_label(module);
  vdb::bindings::register_ivf(module);
  vdb::bindings::register_testing(module);
  vdb::bindings::register_runs(module);
}
