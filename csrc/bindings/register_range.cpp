#include <pybind11/stl.h>

#include <optional>

#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/hnsw/hnsw.h"
#include "index/range/range.h"

namespace vdb::bindings {
namespace {

const CodeStore* codes_of(const Hnsw* graph) { return graph == nullptr ? nullptr : graph->codes(); }

std::uint64_t save(RangeGraph& graph, const std::string& path, const py::bytes& identity) {
  const std::string_view bytes = identity;
  const py::gil_scoped_release release;
  return graph.save(path, {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

py::bytes identity(const RangeGraph& graph) {
  return {reinterpret_cast<const char*>(graph.identity().data()), graph.identity().size()};
}

// Every argument of RangeGraph.extend beyond the view.
struct ExtendArgs {
  const RowSet* rows;
  std::size_t threads;
  const py::object& progress;
  const Array<Slot>& slots;
  const Array<std::int64_t>& keys;
  const Hnsw* codes;
  bool whole;
};

std::size_t extend(RangeGraph& graph, const OwnedView& owned, const ExtendArgs& args) {
  const std::span<const Slot> slots = vector(args.slots, "slots");
  const std::span<const std::int64_t> keys = vector(args.keys, "keys");
  std::size_t linked = 0;
  const CallView call(owned);
  run_interruptible([&](CancelToken& token) {
    const auto report = [&](std::size_t done, std::size_t total) {
      report_progress(args.progress, token, done, total);
    };
    linked = graph.extend(call.view(),
                          {args.rows, slots, keys, args.whole, codes_of(args.codes), args.threads, &token, report});
  });
  call.check();
  return linked;
}

// Every keyword of RangeGraph.search beyond the view and the queries.
struct SearchArgs {
  std::size_t k;
  RangeSearch how;
  const RowSet* rows;
  std::size_t threads;
};

py::tuple search(RangeGraph& graph, const OwnedView& owned, const py::array& queries, const SearchArgs& args) {
  QueryBatch batch = query_batch(owned, queries, args.k, args.rows, args.threads);
  AnswerArrays answers(batch.nq, args.k);
  SearchStats stats;
  const CallView call(owned);
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    stats = graph.search(call.view(), batch, args.how, view);
  });
  call.check();
  return answers.with(stats);
}

// Without the GIL: a running extend() holds the lock this waits for and needs the GIL to report progress.
Array<Slot> neighbors(RangeGraph& graph, Slot slot, std::size_t layer) {
  std::vector<Slot> found;
  {
    const py::gil_scoped_release release;
    found = graph.neighbors(slot, layer);
  }
  return to_array(found);
}

}  // namespace

void register_range(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<RangeGraph>(module, "RangeGraph")
      .def(py::init([](std::size_t dim, const std::string& metric, std::size_t M, std::size_t ef_construction,
                       std::uint64_t seed) {
             return std::make_unique<RangeGraph>(RangeParams{dim, parse_metric(metric), M, ef_construction, seed});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("M") = 16, py::arg("ef_construction") = 200, py::arg("seed") = 42)
      .def_static("load", &RangeGraph::load, py::arg("path"), no_gil)
      .def("save", &save, py::arg("path"), py::arg("identity"))
      .def_property_readonly("identity", &identity)
      .def(
          "extend",
          [](RangeGraph& graph, const OwnedView& view, const RowSet* rows, std::size_t threads,
             const py::object& progress, const Array<Slot>& slots, const Array<std::int64_t>& keys, const Hnsw* codes,
             bool whole) { return extend(graph, view, {rows, threads, progress, slots, keys, codes, whole}); },
          py::arg("view"), py::arg("rows"), py::arg("threads"), py::arg("progress"), py::arg("slots").noconvert(),
          py::arg("keys").noconvert(), py::arg("codes") = py::none(), py::arg("whole") = false)
      .def(
          "search",
          [](RangeGraph& graph, const OwnedView& view, const py::array& queries, std::size_t k, std::size_t ef,
             std::int64_t low, std::int64_t high, const RowSet* allowed, std::size_t pool, std::uint64_t budget,
             std::optional<std::size_t> limit, std::size_t threads, const Hnsw* codes) {
            const RangeSearch how{ef, pool, budget, limit.value_or(kMaxSlots), low, high, codes_of(codes)};
            return search(graph, view, queries, {k, how, allowed, threads});
          },
          py::arg("view"), py::arg("queries"), py::arg("k"), py::arg("ef"), py::arg("low"), py::arg("high"),
          py::arg("allowed") = py::none(), py::arg("pool") = 0, py::arg("budget") = 0, py::arg("limit") = py::none(),
          py::arg("threads") = 1, py::arg("codes") = py::none())
      .def(
          "check", [](RangeGraph& graph) { graph.check("index"); }, no_gil)
      .def("neighbors", &neighbors, py::arg("slot"), py::arg("layer") = 0)
      .def_property_readonly("covered", &RangeGraph::covered)
      .def_property_readonly("size", &RangeGraph::nodes)
      .def_property_readonly("layers", &RangeGraph::layer_count)
      .def_property_readonly("dim", [](const RangeGraph& graph) { return graph.params().dim; })
      .def_property_readonly("metric",
                             [](const RangeGraph& graph) { return std::string(name_of(graph.params().metric)); })
      .def_property_readonly("M", [](const RangeGraph& graph) { return graph.params().M; })
      .def_property_readonly("ef_construction", [](const RangeGraph& graph) { return graph.params().ef_construction; })
      .def_property_readonly("memory_bytes", &RangeGraph::memory_bytes);
}

}  // namespace vdb::bindings
