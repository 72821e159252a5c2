#include <pybind11/stl.h>

#include <limits>
#include <optional>
#include <string>

#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/ivf/ivf.h"

namespace vdb::bindings {
namespace {

IvfCodes parse_codes(const std::string& name) {
  if (name == "pq") return IvfCodes::kPq;
  VDB_CHECK(name == "rabitq", "codes '" + name + "' are unknown: expected pq or rabitq");
  return IvfCodes::kRabitq;
}

bool is_pq(const Ivf& index) { return index.params().codes == IvfCodes::kPq; }

std::uint64_t save(const Ivf& index, const std::string& path, const py::bytes& identity) {
  const std::string_view bytes = identity;
  const py::gil_scoped_release release;
  return index.save(path, {reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

py::bytes identity(const Ivf& index) {
  return {reinterpret_cast<const char*>(index.identity().data()), index.identity().size()};
}

void extend(Ivf& index, const OwnedView& owned, const RowSet* rows, std::size_t threads, const py::object& progress) {
  run_interruptible([&](CancelToken& token) {
    const auto report = [&](std::size_t done, std::size_t total) { report_progress(progress, token, done, total); };
    index.extend(owned.view, {rows, threads, &token, report});
  });
}

bool repair(Ivf& index, const OwnedView& owned, const RowSet& alive, std::optional<std::size_t> steps) {
  bool done = false;
  run_interruptible([&](CancelToken& token) {
    done = index.repair(owned.view, {&alive, steps.value_or(std::numeric_limits<std::size_t>::max()), &token});
  });
  return done;
}

std::unique_ptr<Ivf> renumbered(const Ivf& index, const Array<Slot>& new_slot_of, std::size_t slots) {
  const std::span<const Slot> numbers = vector(new_slot_of, "new_slot_of");
  const py::gil_scoped_release release;
  return index.renumbered(numbers, slots);
}

py::tuple search(const Ivf& index, const OwnedView& owned, QueryBatch batch, const IvfSearch& how) {
  AnswerArrays answers(batch.nq, batch.k);
  SearchStats stats;
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    stats = index.search(owned.view, batch, how, view);
  });
  return answers.with(stats);
}

Array<std::uint32_t> list_sizes(const Ivf& index) {
  const auto now = index.state();
  std::vector<std::uint32_t> sizes;
  for (const auto& list : now->lists) sizes.push_back(static_cast<std::uint32_t>(list->rows));
  return to_array(sizes);
}

std::size_t sub_quantisers(const Ivf& index) {
  const auto now = index.state();
  if (!is_pq(index)) return 0;
  return now->model ? std::get<ResidualProduct>(now->model->codec).shape().m : index.params().m;
}

}  // namespace

void register_ivf(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<Ivf>(module, "Ivf")
      .def(py::init([](std::size_t dim, const std::string& metric, const std::string& codes, std::size_t nlist,
                       std::size_t m, std::size_t nbits, bool opq, std::size_t bits, std::uint64_t seed) {
             return std::make_unique<Ivf>(
                 IvfParams{dim, parse_metric(metric), parse_codes(codes), nlist, m, nbits, opq, bits, seed});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("codes"), py::arg("nlist") = 0, py::arg("m") = 0,
           py::arg("nbits") = 4, py::arg("opq") = false, py::arg("bits") = 1, py::arg("seed") = 42)
      .def_static("load", &Ivf::load, py::arg("path"), no_gil)
      .def("save", &save, py::arg("path"), py::arg("identity"))
      .def_property_readonly("identity", &identity)
      .def("extend", &extend, py::arg("view"), py::arg("rows") = py::none(), py::arg("threads") = 0,
           py::arg("progress") = py::none())
      .def(
          "repair",
          [](Ivf& index, const OwnedView& view, const RowSet& alive, std::optional<std::size_t> steps, std::size_t) {
            return repair(index, view, alive, steps);
          },
          py::arg("view"), py::arg("alive"), py::arg("steps") = py::none(), py::arg("threads") = 0)
      .def("renumbered", &renumbered, py::arg("new_slot_of"), py::arg("slots"))
      .def(
          "search",
          [](const Ivf& index, const OwnedView& view, const py::array& queries, std::size_t k, std::size_t nprobe,
             const RowSet* allowed, std::size_t pool, std::optional<std::size_t> limit, std::size_t threads) {
            return search(index, view, query_batch(view, queries, k, allowed, threads),
                          {nprobe, pool, limit.value_or(kMaxSlots)});
          },
          py::arg("view"), py::arg("queries"), py::arg("k"), py::arg("nprobe"), py::arg("allowed") = py::none(),
          py::arg("pool") = 0, py::arg("limit") = py::none(), py::arg("threads") = 1)
      .def("list_sizes", &list_sizes)
      .def_property_readonly("covered", [](const Ivf& index) { return index.state()->covered; })
      .def_property_readonly("size", [](const Ivf& index) { return index.state()->rows; })
      .def_property_readonly("dim", [](const Ivf& index) { return index.params().dim; })
      .def_property_readonly("metric", [](const Ivf& index) { return std::string(name_of(index.params().metric)); })
      .def_property_readonly("codes", [](const Ivf& index) { return is_pq(index) ? "pq" : "rabitq"; })
      .def_property_readonly("nlist", [](const Ivf& index) { return index.state()->lists.size(); })
      .def_property_readonly("m", &sub_quantisers)
      .def_property_readonly("nbits", [](const Ivf& index) { return is_pq(index) ? index.params().nbits : 0; })
      .def_property_readonly("opq", [](const Ivf& index) { return is_pq(index) && index.params().opq; })
      .def_property_readonly("bits", [](const Ivf& index) { return is_pq(index) ? 0 : index.params().bits; })
      .def_property_readonly("drift", &Ivf::drift)
      .def_property_readonly("trained_on",
                             [](const Ivf& index) {
                               const auto now = index.state();
                               return now->model ? now->model->trained_on : 0;
                             })
      .def_property_readonly("record_bytes",
                             [](const Ivf& index) {
                               const auto now = index.state();
                               return now->model ? now->model->shape.row_bytes() : 0;
                             })
      .def_property_readonly("memory_bytes", &Ivf::memory_bytes)
      .def("check", [](const Ivf& index) { index.check("index"); }, no_gil);
}

}  // namespace vdb::bindings
