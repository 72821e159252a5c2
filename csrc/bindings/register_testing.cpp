// The kernels of one level, for tests and benches only; nothing in vdb/ imports this submodule.
#include <algorithm>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "bindings/testing.h"
#include "simd/kernels.h"

namespace vdb::bindings {
namespace {

const DistanceKernels::Forms& distance_forms(const Kernels& kernels, Dtype dtype, const std::string& operation) {
  if (operation == "l2_squared") return kernels.distance(dtype).l2_squared;
  VDB_CHECK(operation == "inner_product", "operation is l2_squared or inner_product");
  return kernels.distance(dtype).inner_product;
}

// Distances (queries, rows) by each form of a kernel, in the order pair, x4, block, tile.
py::tuple all_forms(const DistanceKernels::Forms& forms, const Matrix& queries, const Matrix& rows) {
  const auto output = [&] {
    return Array<float>({static_cast<py::ssize_t>(queries.rows), static_cast<py::ssize_t>(rows.rows)});
  };
  Array<float> by_pair = output();
  Array<float> by_x4 = output();
  Array<float> by_block = output();
  Array<float> by_tile = output();
  const std::size_t stride = rows.columns * bytes_per_value(rows.dtype);
  const auto row = [&](std::size_t i) { return rows.data + std::min(i, rows.rows - 1) * stride; };
  for (std::size_t q = 0; q < queries.rows; ++q) {
    const void* const query = queries.data + q * stride;
    float* const pairs = by_pair.mutable_data() + q * rows.rows;
    for (std::size_t i = 0; i < rows.rows; ++i) pairs[i] = forms.pair(query, row(i), rows.columns);
    for (std::size_t i = 0; i < rows.rows; i += 4) {
      const void* const four[4] = {row(i), row(i + 1), row(i + 2),
                                   row(i + 3)};  // the last row again where there are fewer
      float out[4];
      forms.x4(query, four, rows.columns, out);
      std::copy_n(out, std::min<std::size_t>(4, rows.rows - i), by_x4.mutable_data() + q * rows.rows + i);
    }
    forms.block(query, rows.data, rows.rows, rows.columns, by_block.mutable_data() + q * rows.rows);
  }
  forms.tile({queries.data, queries.rows}, {rows.data, rows.rows}, rows.columns, by_tile.mutable_data());
  return py::make_tuple(by_pair, by_x4, by_block, by_tile);
}

}  // namespace

const Kernels& kernels_of_level(const std::string& isa) {
  for (const Isa candidate : available_isas()) {
    if (name_of(candidate) == isa) return kernels_for(candidate);
  }
  throw InvalidArgument("this machine has no kernel level '" + isa + "'");
}

void register_testing(py::module_& module) {
  py::module_ testing = module.def_submodule("testing", "Kernels of one level, for tests and benches.");
  testing.def(
      "distance",
      [](const std::string& isa, const std::string& dtype, const std::string& operation, const py::array& queries,
         const py::array& rows) {
        const Kernels& kernels = kernels_of_level(isa);
        const Matrix q = matrix(queries, "queries");
        const Matrix m = matrix(rows, "rows");
        VDB_CHECK(q.columns == m.columns && m.columns >= 1, "queries and rows differ in dimension");
        VDB_CHECK(name_of(q.dtype) == dtype && name_of(m.dtype) == dtype, "queries and rows must be " + dtype);
        return all_forms(distance_forms(kernels, m.dtype, operation), q, m);
      },
      py::arg("isa"), py::arg("dtype"), py::arg("operation"), py::arg("queries"), py::arg("rows"));
}

}  // namespace vdb::bindings
