#include <pybind11/stl.h>

#include <optional>

#include "base/half.h"
#include "base/thread_pool.h"
#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/flat/scan.h"
#include "io/checksum.h"
#include "simd/isa.h"

namespace vdb::bindings {
namespace {

VectorView view_of(const Matrix& m, Metric metric) { return {m.data, m.rows, m.columns, metric, nullptr, m.dtype}; }

// `custom` is an object with a `name` and the `address` of a CustomFunction that lives as long as it does.
void bind_custom(OwnedView& owned, const py::object& custom) {
  VDB_CHECK(!custom.is_none(), "metric 'custom' needs the metric as custom");
  const auto address = custom.attr("address").cast<std::uintptr_t>();
  VDB_CHECK(address != 0, "the address of the metric is null");
  owned.view.custom.function = reinterpret_cast<CustomFunction>(address);
  owned.custom_name = custom.attr("name").cast<std::string>();
}

OwnedView make_view(const py::array& data, const std::string& metric, const py::object& norms, const py::object& custom,
                    const std::optional<py::array>& in_order) {
  const Matrix m = matrix(data, "data");
  VDB_CHECK(m.columns >= 1, "vectors have at least one dimension");
  OwnedView owned{view_of(m, parse_metric(metric)), py::make_tuple(data, norms, custom, in_order), {}};
  if (in_order) {
    const Matrix same = matrix(*in_order, "in_order");
    VDB_CHECK(same.rows == m.rows && same.columns == m.columns && same.dtype == m.dtype,
              "in_order must hold the rows of data: of the same shape and dtype");
    if (same.data != m.data) owned.view.in_order = same.data;
  }
  if (owned.view.metric == Metric::kCustom) bind_custom(owned, custom);
  if (owned.view.metric == Metric::kCosine) {
    VDB_CHECK(py::isinstance<Array<float>>(norms), "cosine needs inverse_norms as a float32 array");
    const auto values = vector(norms.cast<Array<float>>(), "inverse_norms");
    VDB_CHECK(values.size() == m.rows, "inverse_norms must have one value per row");
    owned.view.inverse_norms = values.data();
  }
  return owned;
}

// Value by value, into a new array of the same shape.
template <class From, class To, To (*change)(From) noexcept>
Array<To> convert(const Array<From>& values) {
  Array<To> converted(std::vector<py::ssize_t>(values.shape(), values.shape() + values.ndim()));
  const From* const from = values.data();
  To* const to = converted.mutable_data();
  const auto n = static_cast<std::size_t>(values.size());
  const py::gil_scoped_release release;
  for (std::size_t i = 0; i < n; ++i) to[i] = change(from[i]);
  return converted;
}

std::uint32_t checksum(const py::buffer& data, std::uint32_t seed) {
  const py::buffer_info info = data.request();
  VDB_CHECK(PyBuffer_IsContiguous(info.view(), 'C') != 0, "the buffer must be C-contiguous");
  const py::gil_scoped_release release;
  return crc32c(info.ptr, static_cast<std::size_t>(info.size * info.itemsize), seed);
}

py::tuple scan_view(const OwnedView& owned, const py::array& queries, std::size_t k, const RowSet* rows,
                    std::size_t begin, std::size_t threads) {
  QueryBatch batch = query_batch(owned, queries, k, rows, threads);
  AnswerArrays answers(batch.nq, k);
  SearchStats stats;
  const CallView call(owned);
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    stats = scan(call.view(), batch, begin, view);
  });
  call.check();
  return answers.with(stats);
}

}  // namespace

void register_vectors(py::module_& module) {
  module.def("isa", [] { return std::string(name_of(active_isa())); });
  module.def("isa_levels", [] {
    std::vector<std::string> names;
    for (const Isa isa : available_isas()) names.emplace_back(name_of(isa));
    return names;
  });
  module.def("hardware_threads", &hardware_threads);
  module.def("crc32c", &checksum, py::arg("data"), py::arg("seed") = 0);
  module.def(
      "inverse_norms",
      [](const py::array& data) {
        const VectorView rows = view_of(matrix(data, "data"), Metric::kL2);
        Array<float> norms(static_cast<py::ssize_t>(rows.n));
        const py::gil_scoped_release release;
        inverse_norms(rows, norms.mutable_data());
        return norms;
      },
      py::arg("data"));
  module.def(
      "first_nonfinite_row",
      [](const py::array& data) {
        const VectorView rows = view_of(matrix(data, "data"), Metric::kL2);
        const py::gil_scoped_release release;
        const std::size_t row = first_nonfinite_row(rows);
        return row == rows.n ? std::int64_t{-1} : static_cast<std::int64_t>(row);
      },
      py::arg("data"));
  module.def("to_bfloat16", &convert<float, std::uint16_t, to_bfloat16>, py::arg("values").noconvert());
  module.def("from_bfloat16", &convert<std::uint16_t, float, from_bfloat16>, py::arg("values").noconvert());

  py::class_<SearchStats>(module, "SearchStats")
      .def_readonly("distances", &SearchStats::distances)
      .def_readonly("estimates", &SearchStats::estimates)
      .def_readonly("refined", &SearchStats::refined)
      .def_readonly("hops", &SearchStats::hops)
      .def_readonly("lists", &SearchStats::lists)
      .def_readonly("tests", &SearchStats::tests)
      .def_property_readonly("unfinished", [](const SearchStats& stats) { return to_array(stats.unfinished); })
      .def_property_readonly("tied", [](const SearchStats& stats) { return to_array(stats.tied); })
      .def_property_readonly("cut", [](const SearchStats& stats) { return to_array(stats.cut); })
      .def_property_readonly("settled", [](const SearchStats& stats) {
        return stats.unfinished.empty() && stats.tied.empty() && stats.cut.empty();
      });

  py::class_<OwnedView>(module, "VectorView")
      .def(py::init(&make_view), py::arg("data"), py::arg("metric"), py::arg("inverse_norms") = py::none(),
           py::arg("custom") = py::none(), py::arg("in_order") = py::none())
      .def_property_readonly("n", [](const OwnedView& owned) { return owned.view.n; })
      .def_property_readonly("dim", [](const OwnedView& owned) { return owned.view.dim; })
      .def_property_readonly("row_bytes", [](const OwnedView& owned) { return owned.view.row_bytes(); })
      .def_property_readonly("dtype", [](const OwnedView& owned) { return std::string(name_of(owned.view.dtype)); })
      .def_property_readonly("metric", [](const OwnedView& owned) { return std::string(name_of(owned.view.metric)); });

  module.def("scan", &scan_view, py::arg("view"), py::arg("queries"), py::arg("k"), py::arg("rows") = py::none(),
             py::arg("begin") = 0, py::arg("threads") = 1);
}

}  // namespace vdb::bindings
