#include <pybind11/stl.h>

#include <optional>

#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/hnsw/hnsw.h"
#include "index/label/label_graph.h"

namespace vdb::bindings {
namespace {

std::uint64_t save(LabelGraph& graph, const std::string& path, const py::bytes& identity) {
  const std::string_view bytes = identity;
  const py::gil_scoped_release release;
  return graph.save(path, {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

py::bytes identity(const LabelGraph& graph) {
  return {reinterpret_cast<const char*>(graph.identity().data()), graph.identity().size()};
}

const CodeStore* codes_of(const Hnsw* graph) { return graph == nullptr ? nullptr : graph->codes(); }

// Offsets of either width as the core takes them; `wide` keeps those that had to be widened.
std::span<const std::uint64_t> offsets_of(const py::array& offsets, std::vector<std::uint64_t>& wide) {
  if (py::isinstance<Array<std::uint64_t>>(offsets)) return vector(Array<std::uint64_t>(offsets), "offsets");
  VDB_CHECK(py::isinstance<Array<std::uint32_t>>(offsets), "offsets must be a C-contiguous array of uint32 or uint64");
  const Array<std::uint32_t> narrow(offsets);
  const std::span<const std::uint32_t> values = vector(narrow, "offsets");
  wide.assign(values.begin(), values.end());
  return wide;
}

// Every keyword of LabelGraph.extend beyond the view.
struct ExtendArgs {
  const RowSet* rows;
  std::size_t threads;
  const py::object& progress;
  const Array<Slot>& slots;
  const py::array& offsets;
  const Array<std::uint32_t>& labels;
  const Hnsw* codes;
  bool whole;
  std::size_t most;
};

void extend(LabelGraph& graph, const OwnedView& owned, const ExtendArgs& args) {
  std::vector<std::uint64_t> wide;
  const Memberships memberships{offsets_of(args.offsets, wide), vector(args.labels, "labels")};
  const std::span<const Slot> slots = vector(args.slots, "slots");
  const CallView call(owned);
  run_interruptible([&](CancelToken& token) {
    const auto report = [&](std::size_t done, std::size_t total) {
      report_progress(args.progress, token, done, total);
    };
    graph.extend(call.view(), {slots, memberships, args.whole, args.rows, args.threads, &token, report,
                               codes_of(args.codes), args.most});
  });
  call.check();
}

// Every keyword of LabelGraph.search beyond the view and the queries.
struct SearchArgs {
  std::size_t k;
  LabelSearch how;
  const RowSet* rows;
  std::size_t threads;
};

py::tuple search(LabelGraph& graph, const OwnedView& owned, const py::array& queries, const SearchArgs& args) {
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
Array<Slot> neighbors(LabelGraph& graph, std::uint32_t label, Slot slot) {
  std::vector<Slot> found;
  {
    const py::gil_scoped_release release;
    found = graph.neighbors(label, slot);
  }
  return to_array(found);
}

}  // namespace

void register_label(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<LabelGraph>(module, "LabelGraph")
      .def(py::init([](std::size_t dim, const std::string& metric, std::size_t M, std::size_t ef_construction,
                       std::uint64_t seed, std::size_t min_rows) {
             return std::make_unique<LabelGraph>(
                 LabelParams{dim, parse_metric(metric), M, ef_construction, seed, min_rows});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("M") = 16, py::arg("ef_construction") = 200, py::arg("seed") = 42,
           py::arg("min_rows") = 1000)
      .def_static("load", &LabelGraph::load, py::arg("path"), no_gil)
      .def("save", &save, py::arg("path"), py::arg("identity"))
      .def_property_readonly("identity", &identity)
      .def(
          "extend",
          [](LabelGraph& graph, const OwnedView& view, const RowSet* rows, std::size_t threads,
             const py::object& progress, const Array<Slot>& slots, const py::array& offsets,
             const Array<std::uint32_t>& labels, const Hnsw* codes, bool whole, std::size_t most) {
            extend(graph, view, {rows, threads, progress, slots, offsets, labels, codes, whole, most});
          },
          py::arg("view"), py::arg("rows"), py::arg("threads"), py::arg("progress"), py::arg("slots").noconvert(),
          py::arg("offsets"), py::arg("labels").noconvert(), py::arg("codes") = py::none(), py::arg("whole") = false,
          py::arg("most") = 0)
      .def(
          "search",
          [](LabelGraph& graph, const OwnedView& view, const py::array& queries, std::size_t k, std::size_t ef,
             const std::vector<std::uint32_t>& label_ids, const RowSet* allowed, std::size_t pool, std::uint64_t budget,
             std::optional<std::size_t> limit, std::size_t threads, const Hnsw* codes) {
            const LabelSearch how{label_ids, ef, pool, budget, limit.value_or(kMaxSlots), codes_of(codes)};
            return search(graph, view, queries, {k, how, allowed, threads});
          },
          py::arg("view"), py::arg("queries"), py::arg("k"), py::arg("ef"), py::arg("label_ids"),
          py::arg("allowed") = py::none(), py::arg("pool") = 0, py::arg("budget") = 0, py::arg("limit") = py::none(),
          py::arg("threads") = 1, py::arg("codes") = py::none())
      .def(
          "check", [](LabelGraph& graph) { graph.check("index"); }, no_gil)
      .def("neighbors", &neighbors, py::arg("label"), py::arg("slot"))
      .def(
          "has", [](LabelGraph& graph, std::uint32_t label) { return graph.count(label) > 0; }, py::arg("label"))
      .def("count", &LabelGraph::count, py::arg("label"))
      .def_property_readonly("labels", [](LabelGraph& graph) { return to_array(graph.labels()); })
      .def_property_readonly("covered", &LabelGraph::covered)
      .def_property_readonly("lacking", &LabelGraph::lacking)
      .def_property_readonly("size", &LabelGraph::nodes)
      .def_property_readonly("dim", [](const LabelGraph& graph) { return graph.params().dim; })
      .def_property_readonly("metric",
                             [](const LabelGraph& graph) { return std::string(name_of(graph.params().metric)); })
      .def_property_readonly("M", [](const LabelGraph& graph) { return graph.params().M; })
      .def_property_readonly("ef_construction", [](const LabelGraph& graph) { return graph.params().ef_construction; })
      .def_property_readonly("min_rows", [](const LabelGraph& graph) { return graph.params().min_rows; })
      .def_property_readonly("memory_bytes", &LabelGraph::memory_bytes);
}

}  // namespace vdb::bindings
