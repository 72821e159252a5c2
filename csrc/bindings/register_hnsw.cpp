#include <pybind11/stl.h>

#include <optional>

#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/hnsw/hnsw.h"

namespace vdb::bindings {
namespace {

std::unique_ptr<Hnsw> make(std::size_t dim, const std::string& metric, std::size_t M, std::size_t ef_construction,
                           std::uint64_t seed) {
  return std::make_unique<Hnsw>(HnswParams{dim, parse_metric(metric), M, ef_construction, seed});
}

std::uint64_t save(Hnsw& graph, const std::string& path, const py::bytes& identity) {
  const std::string_view bytes = identity;
  const py::gil_scoped_release release;
  return graph.save(path, {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

py::bytes identity(const Hnsw& graph) {
  return {reinterpret_cast<const char*>(graph.identity().data()), graph.identity().size()};
}

void extend(Hnsw& graph, const OwnedView& owned, const RowSet* rows, std::size_t threads, const py::object& progress) {
  run_interruptible([&](CancelToken& token) {
    const auto report = [&](std::size_t done, std::size_t total) { report_progress(progress, token, done, total); };
    graph.extend(owned.view, {rows, threads, &token, report});
  });
}

// Every keyword of Hnsw.search beyond the view and the queries.
struct SearchArgs {
  std::size_t k;
  HnswSearch how;
  const RowSet* rows;
  std::size_t threads;
};

// Without the GIL: a running extend() holds the lock this waits for and needs the GIL to report progress.
Array<Slot> neighbors(Hnsw& graph, Slot slot, std::size_t level) {
  std::vector<Slot> found;
  {
    const py::gil_scoped_release release;
    found = graph.neighbors(slot, level);
  }
  return to_array(found);
}

py::tuple search(Hnsw& graph, const OwnedView& owned, const py::array& queries, const SearchArgs& args) {
  QueryBatch batch = query_batch(owned, queries, args.k, args.rows, args.threads);
  AnswerArrays answers(batch.nq, args.k);
  SearchStats stats;
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    stats = graph.search(owned.view, batch, args.how, view);
  });
  return answers.with(stats);
}

}  // namespace

void register_hnsw(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<Hnsw>(module, "Hnsw")
      .def(py::init(&make), py::arg("dim"), py::arg("metric"), py::arg("M") = 16, py::arg("ef_construction") = 200,
           py::arg("seed") = 42)
      .def_static("load", &Hnsw::load, py::arg("path"), no_gil)
      .def("save", &save, py::arg("path"), py::arg("identity"))
      .def_property_readonly("identity", &identity)
      .def("extend", &extend, py::arg("view"), py::arg("rows") = py::none(), py::arg("threads") = 0,
           py::arg("progress") = py::none())
      .def(
          "search",
          [](Hnsw& graph, const OwnedView& view, const py::array& queries, std::size_t k, std::size_t ef,
             const RowSet* rows, std::size_t pool, std::uint64_t budget, std::optional<std::size_t> limit,
             std::size_t threads) {
            return search(graph, view, queries, {k, {ef, pool, budget, limit.value_or(kMaxSlots)}, rows, threads});
          },
          py::arg("view"), py::arg("queries"), py::arg("k"), py::arg("ef"), py::arg("rows") = py::none(),
          py::arg("pool") = 0, py::arg("budget") = 0, py::arg("limit") = py::none(), py::arg("threads") = 1)
      .def(
          "check", [](Hnsw& graph) { graph.check("index"); }, no_gil)
      .def("neighbors", &neighbors, py::arg("slot"), py::arg("level") = 0)
      .def_property_readonly("covered", &Hnsw::covered)
      .def_property_readonly("size", &Hnsw::nodes)
      .def_property_readonly("dim", [](const Hnsw& graph) { return graph.params().dim; })
      .def_property_readonly("metric", [](const Hnsw& graph) { return std::string(name_of(graph.params().metric)); })
      .def_property_readonly("M", [](const Hnsw& graph) { return graph.params().M; })
      .def_property_readonly("ef_construction", [](const Hnsw& graph) { return graph.params().ef_construction; })
      .def_property_readonly("memory_bytes", &Hnsw::memory_bytes)
      .def_property_readonly("max_level", &Hnsw::max_level);
}

}  // namespace vdb::bindings
