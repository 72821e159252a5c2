#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "bindings/codec_kind.h"
#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "codec/code_store.h"
#include "index/flat/code_scan.h"

namespace vdb::bindings {
namespace {

// Calls `spectrum(sample)` of Python, which returns an object with `basis` and `lossless`.
FindBasis basis_finder(const py::object& spectrum) {
  if (spectrum.is_none()) return {};
  // Copies of the function come and go without the GIL; only the last one takes it.
  const std::shared_ptr<const py::object> shared(new py::object(spectrum), [](const py::object* last) {
    const py::gil_scoped_acquire gil;
    delete last;
  });
  return [shared](const TrainingRows& sample) {
    const py::gil_scoped_acquire gil;
    Array<float> rows({static_cast<py::ssize_t>(sample.n), static_cast<py::ssize_t>(sample.dim)}, sample.data);
    const py::object found = (*shared)(rows);
    const auto basis = found.attr("basis").cast<Array<float>>();
    VDB_CHECK(basis.ndim() == 2, "the basis must have two dimensions");
    return Basis{{basis.data(), basis.data() + basis.size()},
                 static_cast<std::size_t>(basis.shape(0)),
                 found.attr("lossless").cast<bool>()};
  };
}

std::unique_ptr<CodeStore> load(const std::string& path, const py::object& spectrum) {
  FindBasis find_basis = basis_finder(spectrum);
  const py::gil_scoped_release release;
  return CodeStore::load(path, std::move(find_basis));
}

std::uint64_t save(const CodeStore& codes, const std::string& path, const py::bytes& identity) {
  const std::string_view bytes = identity;
  const py::gil_scoped_release release;
  return codes.save(path, {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

void extend(CodeStore& codes, const OwnedView& owned, const RowSet* rows, std::size_t threads,
            const py::object& progress) {
  run_interruptible([&](CancelToken& token) {
    const auto report = [&](std::size_t done, std::size_t total) { report_progress(progress, token, done, total); };
    codes.extend(owned.view, {rows, threads, &token, report});
  });
}

py::tuple scan(const CodeStore& codes, const OwnedView& owned, const py::array& queries, QueryBatch asked,
               std::size_t begin) {
  QueryBatch batch = query_batch(owned, queries, asked.k, asked.rows, asked.threads);
  AnswerArrays answers(batch.nq, asked.k);
  SearchStats stats;
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    stats = scan_codes(codes.snapshot(), owned.view, batch, begin, view);
  });
  return answers.with(stats);
}

bool guaranteed(const CodeStore& codes) {
  const auto codec = codes.snapshot().codec;
  return !codec || std::visit([](const auto& concrete) { return concrete.kBounded; }, *codec);
}

// Values of a record's vector: fewer than `dim` where a projection dropped some.
std::size_t width(const CodeStore& codes) {
  const auto codec = codes.snapshot().codec;
  const Projection* const projection = codec ? std::get_if<Projection>(codec.get()) : nullptr;
  return projection == nullptr ? codes.params().dim : projection->width();
}

// (nq, covered) distances and errors in code space.
py::tuple estimate(const CodeStore& codes, const Array<float>& queries) {
  const Matrix q = matrix(queries, "queries");
  const CodeStore::Snapshot now = codes.snapshot();
  VDB_CHECK(now.codec != nullptr && q.columns == codes.params().dim, "queries of another dimension, or no codes yet");
  const std::size_t n = now.covered;
  Array<float> distances({static_cast<py::ssize_t>(q.rows), static_cast<py::ssize_t>(n)});
  Array<float> errors({static_cast<py::ssize_t>(q.rows), static_cast<py::ssize_t>(n)});
  run_interruptible([&, query = queries.data(), distance = distances.mutable_data(),
                     error = errors.mutable_data()](CancelToken& token) mutable {
    std::vector<Estimate> estimates(n);
    for (std::size_t i = 0; i < q.rows; ++i, query += q.columns) {
      if (token.poll()) throw Cancelled();
      std::visit([&](const auto& codec) { codec.bind(query).estimate_block(now.rows(0, n), estimates.data()); },
                 *now.codec);
      for (const Estimate& estimate : estimates) {
        *distance++ = estimate.distance;
        *error++ = estimate.error;
      }
    }
  });
  return py::make_tuple(distances, errors);
}

}  // namespace

void register_codes(py::module_& module) {
  py::class_<CodeStore>(module, "Codes")
      .def(py::init([](std::size_t dim, const std::string& metric, const std::string& kind, std::uint64_t seed,
                       std::size_t bits, std::size_t m, bool opq, const py::object& spectrum) {
             return std::make_unique<CodeStore>(CodeParams{parse_codec_kind(kind), dim, parse_metric(metric), seed,
                                                           bits, m, opq, basis_finder(spectrum)});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("kind") = "sq8", py::arg("seed") = 42, py::arg("bits") = 0,
           py::arg("m") = 0, py::arg("opq") = false, py::arg("spectrum") = py::none())
      .def_static("load", &load, py::arg("path"), py::arg("spectrum") = py::none())
      .def("save", &save, py::arg("path"), py::arg("identity"))
      .def("extend", &extend, py::arg("view"), py::arg("rows") = py::none(), py::arg("threads") = 0,
           py::arg("progress") = py::none())
      .def(
          "scan",
          [](const CodeStore& codes, const OwnedView& view, const py::array& queries, std::size_t k, const RowSet* rows,
             std::size_t begin, std::size_t threads) {
            return scan(codes, view, queries, {nullptr, 0, k, rows, threads, nullptr}, begin);
          },
          py::arg("view"), py::arg("queries").noconvert(), py::arg("k"), py::arg("rows") = py::none(),
          py::arg("begin") = 0, py::arg("threads") = 1)
      .def_property_readonly("identity",
                             [](const CodeStore& codes) {
                               return py::bytes(reinterpret_cast<const char*>(codes.identity().data()),
                                                codes.identity().size());
                             })
      .def_property_readonly("covered", &CodeStore::covered)
      .def_property_readonly("dim", [](const CodeStore& codes) { return codes.params().dim; })
      .def_property_readonly("metric",
                             [](const CodeStore& codes) { return std::string(name_of(codes.params().metric)); })
      .def_property_readonly("kind", [](const CodeStore& codes) { return name_of(codes.params().kind); })
      .def_property_readonly("guaranteed", &guaranteed)
      .def_property_readonly("width", &width)
      .def("estimate", &estimate, py::arg("queries").noconvert())
      .def_property_readonly("record_bytes", [](const CodeStore& codes) { return codes.snapshot().row_bytes(); })
      .def_property_readonly("memory_bytes", &CodeStore::memory_bytes);
}

}  // namespace vdb::bindings
