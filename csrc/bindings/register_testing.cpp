// The kernels of one level, for tests and benches only; nothing in vdb/ imports this submodule.
#include "bindings/arrays.h"
#include "bindings/register.h"
#include "simd/kernels.h"

namespace vdb::bindings {
namespace {

const DistanceKernelsF32& table(const std::string& isa) {
  for (const Isa candidate : available_isas()) {
    if (name_of(candidate) == isa) return kernels_for(candidate).distance_f32;
  }
  throw InvalidArgument("this machine has no kernel level '" + isa + "'");
}

// Distances of one query to each row by each form of a kernel, in the order pair, x4, block.
py::tuple all_forms(DistanceKernelsF32::Pair pair, DistanceKernelsF32::PairX4 x4, DistanceKernelsF32::Block block,
                    const float* query, const Matrix& rows) {
  std::vector<float> by_pair(rows.rows);
  std::vector<float> by_x4(rows.rows);
  std::vector<float> by_block(rows.rows);
  const auto row = [&](std::size_t i) { return rows.data + i * rows.columns; };
  for (std::size_t i = 0; i < rows.rows; ++i) by_pair[i] = pair(query, row(i), rows.columns);
  for (std::size_t i = 0; i + 4 <= rows.rows; i += 4) {
    const float* const four[4] = {row(i), row(i + 1), row(i + 2), row(i + 3)};
    x4(query, four, rows.columns, by_x4.data() + i);
  }
  block(query, rows.data, rows.rows, rows.columns, by_block.data());
  return py::make_tuple(to_array(by_pair), to_array(by_x4), to_array(by_block));
}

}  // namespace

void register_testing(py::module_& module) {
  py::module_ testing = module.def_submodule("testing", "Kernels of one level, for tests and benches.");
  testing.def(
      "distance_f32",
      [](const std::string& isa, const std::string& operation, const Array<float>& query, const Array<float>& rows) {
        const DistanceKernelsF32& k = table(isa);
        const Matrix m = matrix(rows, "rows");
        VDB_CHECK(vector(query, "query").size() == m.columns, "query and rows differ in dimension");
        if (operation == "l2_squared") {
          return all_forms(k.l2_squared, k.l2_squared_x4, k.l2_squared_block, query.data(), m);
        }
        VDB_CHECK(operation == "inner_product", "operation is l2_squared or inner_product");
        return all_forms(k.inner_product, k.inner_product_x4, k.inner_product_block, query.data(), m);
      },
      py::arg("isa"), py::arg("operation"), py::arg("query").noconvert(), py::arg("rows").noconvert());
}

}  // namespace vdb::bindings
