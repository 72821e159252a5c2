#include <pybind11/stl.h>

#include <optional>

#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/cells/cells.h"
#include "index/cells/population.h"
#include "index/flat/code_scan.h"
#include "index/hnsw/hnsw.h"

namespace vdb::bindings {
namespace {

// The codes of a graph and the rows they are asked for.
struct GraphScan {
  const CodeStore* codes;  // null: by vector
  std::size_t begin;
  std::optional<Array<Slot>> slots;
};

SlotLists slot_lists(const Array<Slot>& slots, const QueryBatch& batch) {
  VDB_CHECK(slots.ndim() == 2 && static_cast<std::size_t>(slots.shape(0)) == batch.nq,
            "slots must be a list for each of the " + std::to_string(batch.nq) + " queries, (nq, width)");
  VDB_CHECK(batch.rows == nullptr, "a scan takes `slots` or `allowed`, not both: list slots that are allowed");
  return {slots.data(), static_cast<std::size_t>(slots.shape(1))};
}

py::tuple scan(const OwnedView& owned, QueryBatch batch, const GraphScan& how) {
  AnswerArrays answers(batch.nq, batch.k);
  const SlotLists lists = how.slots ? slot_lists(*how.slots, batch) : SlotLists{};
  SearchStats stats;
  const CallView call(owned);
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    const CodeStore::Snapshot codes = how.codes == nullptr ? CodeStore::Snapshot{} : how.codes->snapshot();
    stats = how.slots ? scan_lists(codes, call.view(), batch, lists, view)
                      : scan_codes(codes, call.view(), batch, how.begin, view);
  });
  call.check();
  return answers.with(stats);
}

void extend(Cells& cells, const OwnedView& owned, const RowSet* rows, std::size_t threads) {
  run_interruptible([&](CancelToken& token) { cells.extend(owned.view, {rows, threads, &token}); });
}

std::unique_ptr<Population> population(const Cells& cells, const RowSet& allowed) {
  const py::gil_scoped_release release;
  return std::make_unique<Population>(cells.snapshot(), allowed);
}

py::tuple seeds(const Population& population, const OwnedView& owned, QueryBatch batch) {
  Array<Slot> slots({static_cast<py::ssize_t>(batch.nq), static_cast<py::ssize_t>(batch.k)});
  Array<float> density(static_cast<py::ssize_t>(batch.nq));
  const Population::Seeds out{slots.mutable_data(), density.mutable_data()};
  run_interruptible([&](CancelToken& token) {
    batch.cancel = &token;
    population.seeds(owned.view, batch, out);
  });
  return py::make_tuple(slots, density);
}

std::uint64_t save(Hnsw& graph, const std::string& path, const py::bytes& identity, const Cells* cells) {
  const std::string_view bytes = identity;
  const py::gil_scoped_release release;
  const Bytes whose{reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()};
  if (cells == nullptr) return graph.save(path, whose);
  const Cells::Image image = cells->image();
  return graph.save(path, whose, image.sections());
}

// A graph and the cells in its snapshot, null where it has none.
std::pair<std::unique_ptr<Hnsw>, std::unique_ptr<Cells>> load_with_cells(const std::string& path) {
  const Container file = Container::read(path);
  auto graph = Hnsw::restore(file);
  auto cells = Cells::restore(file);
  if (cells && (cells->params().dim != graph->params().dim || cells->params().metric != graph->params().metric)) {
    throw Corrupted({path, "cells", 0, "the dimension and the metric of the graph", "others"});
  }
  return {std::move(graph), std::move(cells)};
}

std::unique_ptr<Cells> renumbered(const Cells& cells, const Array<Slot>& new_slot_of) {
  const std::span<const Slot> numbers = vector(new_slot_of, "new_slot_of");
  const py::gil_scoped_release release;
  return cells.renumbered(numbers);
}

}  // namespace

void register_cells(py::module_& module) {
  const py::object known = module.attr("Hnsw");
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<Hnsw>(known).def(
      "scan",
      [](const Hnsw& graph, const OwnedView& view, const py::array& queries, std::size_t k, const RowSet* allowed,
         std::size_t begin, std::size_t threads, const std::optional<Array<Slot>>& slots) {
        return scan(view, query_batch(view, queries, k, allowed, threads), {graph.codes(), begin, slots});
      },
      py::arg("view"), py::arg("queries").noconvert(), py::arg("k"), py::arg("allowed") = py::none(),
      py::arg("begin") = 0, py::arg("threads") = 1, py::arg("slots").noconvert() = py::none());
  py::class_<Population>(module, "Population")
      .def(
          "seeds",
          [](const Population& population, const OwnedView& view, const py::array& queries, std::size_t s,
             std::size_t threads) { return seeds(population, view, query_batch(view, queries, s, nullptr, threads)); },
          py::arg("view"), py::arg("queries").noconvert(), py::arg("s"), py::arg("threads") = 1);
  py::class_<Cells>(module, "Cells")
      .def(py::init([](std::size_t dim, const std::string& metric, std::size_t n, std::uint64_t seed) {
             return std::make_unique<Cells>(CellsParams{dim, parse_metric(metric), n, seed});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("n") = 0, py::arg("seed") = 42)
      .def("extend", &extend, py::arg("view"), py::arg("rows") = py::none(), py::arg("threads") = 0)
      .def("renumbered", &renumbered, py::arg("new_slot_of").noconvert())
      .def("population", &population, py::arg("allowed"), py::keep_alive<0, 2>())
      .def_property_readonly("covered", &Cells::covered)
      .def_property_readonly("count", &Cells::count)
      .def_property_readonly("memory_bytes", &Cells::memory_bytes);
  py::class_<Hnsw>(known)
      .def("save", &save, py::arg("path"), py::arg("identity"), py::arg("cells") = py::none())
      .def_static("load_with_cells", &load_with_cells, py::arg("path"), no_gil);
}

}  // namespace vdb::bindings
