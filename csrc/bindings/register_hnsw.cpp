#include <pybind11/stl.h>

#include <limits>
#include <optional>

#include "bindings/codec_kind.h"
#include "bindings/interrupt.h"
#include "bindings/register.h"
#include "bindings/vector_view.h"
#include "index/hnsw/hnsw.h"

namespace vdb::bindings {
namespace {

// Every keyword of the constructor beyond what a graph always has.
struct CodeArgs {
  std::optional<std::string> kind;
  std::size_t bits;
  bool packed;
};

struct AcornArgs {
  std::size_t gamma;
  std::size_t m_beta;
};

std::unique_ptr<Hnsw> make(HnswParams params, const CodeArgs& codes, const AcornArgs& acorn) {
  if (codes.kind) params.codes = parse_codec_kind(*codes.kind);
  params.code_bits = codes.bits;
  params.packed = codes.packed;
  params.gamma = acorn.gamma;
  params.m_beta = acorn.m_beta;
  return std::make_unique<Hnsw>(params);
}

py::bytes identity(const Hnsw& graph) {
  return {reinterpret_cast<const char*>(graph.identity().data()), graph.identity().size()};
}

void extend(Hnsw& graph, const OwnedView& owned, const RowSet* rows, std::size_t threads, const py::object& progress) {
  const CallView call(owned);
  run_interruptible([&](CancelToken& token) {
    const auto report = [&](std::size_t done, std::size_t total) { report_progress(progress, token, done, total); };
    graph.extend(call.view(), {rows, threads, &token, report});
  });
  call.check();
}

bool repair(Hnsw& graph, const OwnedView& owned, const RowSet& alive, std::optional<std::size_t> steps,
            std::size_t threads) {
  bool done = false;
  const CallView call(owned);
  run_interruptible([&](CancelToken& token) {
    const std::size_t most = steps.value_or(std::numeric_limits<std::size_t>::max());
    done = graph.repair(call.view(), {&alive, most, threads, &token});
  });
  call.check();
  return done;
}

std::unique_ptr<Hnsw> renumbered(Hnsw& graph, const Array<Slot>& new_slot_of, std::size_t slots) {
  const std::span<const Slot> numbers = vector(new_slot_of, "new_slot_of");
  const py::gil_scoped_release release;
  return graph.renumbered(numbers, slots);
}

// Every keyword of Hnsw.search beyond the view and the queries.
struct SearchArgs {
  std::size_t k;
  HnswSearch how;
  const RowSet* allowed;
  std::size_t threads;
  std::string arm;
  std::optional<Array<Slot>> seeds;
};

Arm parse_arm(const std::string& name) {
  if (name == "plain") return Arm::kPlain;
  if (name == "adaptive") return Arm::kAdaptive;
  if (name == "two_hop") return Arm::kTwoHop;
  if (name == "acorn") return Arm::kAcorn;
  VDB_CHECK(name == "post", "arm '" + name + "' is unknown: expected plain, adaptive, two_hop, acorn or post");
  return Arm::kPost;
}

Seeds seeds_of(const std::optional<Array<Slot>>& array, std::size_t nq) {
  if (!array) return {};
  VDB_CHECK(array->ndim() == 2 && static_cast<std::size_t>(array->shape(0)) == nq,
            "seeds must be (nq, s), a row for each of the " + std::to_string(nq) + " queries, padded with ABSENT_SLOT");
  return {array->data(), static_cast<std::size_t>(array->shape(1))};
}

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
  QueryBatch batch = query_batch(owned, queries, args.k, args.allowed, args.threads);
  HnswSearch how = args.how;
  how.arm = parse_arm(args.arm);
  how.seeds = seeds_of(args.seeds, batch.nq);
  AnswerArrays answers(batch.nq, args.k);
  SearchStats stats;
  const CallView call(owned);
  run_interruptible([&, view = answers.view()](CancelToken& token) {
    batch.cancel = &token;
    stats = graph.search(call.view(), batch, how, view);
  });
  call.check();
  return answers.with(stats);
}

}  // namespace

void register_hnsw(py::module_& module) {
  const auto no_gil = py::call_guard<py::gil_scoped_release>();
  py::class_<Hnsw>(module, "Hnsw")
      .def(py::init([](std::size_t dim, const std::string& metric, std::size_t M, std::size_t ef_construction,
                       std::uint64_t seed, const std::optional<std::string>& codes, std::size_t bits, bool packed,
                       std::size_t gamma, std::size_t M_beta) {
             return make({dim, parse_metric(metric), M, ef_construction, seed}, {codes, bits, packed}, {gamma, M_beta});
           }),
           py::arg("dim"), py::arg("metric"), py::arg("M") = 16, py::arg("ef_construction") = 200, py::arg("seed") = 42,
           py::arg("codes") = py::none(), py::arg("bits") = 0, py::arg("packed") = false, py::arg("gamma") = 0,
           py::arg("M_beta") = 0)
      .def_static("load", &Hnsw::load, py::arg("path"), no_gil)
      .def_property_readonly("identity", &identity)
      .def("extend", &extend, py::arg("view"), py::arg("rows") = py::none(), py::arg("threads") = 0,
           py::arg("progress") = py::none())
      .def("repair", &repair, py::arg("view"), py::arg("alive"), py::arg("steps") = py::none(), py::arg("threads") = 0)
      .def("renumbered", &renumbered, py::arg("new_slot_of"), py::arg("slots"))
      .def(
          "search",
          [](Hnsw& graph, const OwnedView& view, const py::array& queries, std::size_t k, std::size_t ef,
             const RowSet* allowed, std::size_t pool, std::uint64_t budget, std::optional<std::size_t> limit,
             std::size_t threads, const std::string& arm, const std::optional<Array<Slot>>& seeds) {
            const HnswSearch how{ef, pool, budget, limit.value_or(kMaxSlots)};
            return search(graph, view, queries, {k, how, allowed, threads, arm, seeds});
          },
          py::arg("view"), py::arg("queries"), py::arg("k"), py::arg("ef"), py::arg("allowed") = py::none(),
          py::arg("pool") = 0, py::arg("budget") = 0, py::arg("limit") = py::none(), py::arg("threads") = 1,
          py::arg("arm") = "plain", py::arg("seeds") = py::none())
      .def(
          "check", [](Hnsw& graph) { graph.check("index"); }, no_gil)
      .def("neighbors", &neighbors, py::arg("slot"), py::arg("level") = 0)
      .def_property_readonly("covered", &Hnsw::covered)
      .def_property_readonly("size", &Hnsw::nodes)
      .def_property_readonly("dim", [](const Hnsw& graph) { return graph.params().dim; })
      .def_property_readonly("metric", [](const Hnsw& graph) { return std::string(name_of(graph.params().metric)); })
      .def_property_readonly("M", [](const Hnsw& graph) { return graph.params().M; })
      .def_property_readonly("ef_construction", [](const Hnsw& graph) { return graph.params().ef_construction; })
      .def_property_readonly("gamma", [](const Hnsw& graph) { return graph.params().gamma; })
      .def_property_readonly("M_beta", [](const Hnsw& graph) { return graph.params().m_beta; })
      .def_property_readonly("codes",
                             [](const Hnsw& graph) -> std::optional<std::string_view> {
                               if (!graph.params().codes) return std::nullopt;
                               return name_of(*graph.params().codes);
                             })
      .def_property_readonly("packed", [](const Hnsw& graph) { return graph.params().packed; })
      .def_property_readonly("code_bits", [](const Hnsw& graph) { return graph.params().code_bits; })
      .def_property_readonly(
          "record_bytes",
          [](const Hnsw& graph) { return graph.codes() == nullptr ? 0 : graph.codes()->snapshot().row_bytes(); })
      .def_property_readonly("memory_bytes", &Hnsw::memory_bytes)
      .def_property_readonly("max_level", &Hnsw::max_level);
}

}  // namespace vdb::bindings
