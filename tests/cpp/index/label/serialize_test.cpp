// Snapshots of overlays: what comes back, under which labels, and what is refused.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "io/container.h"
#include "label_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 1200;
constexpr std::size_t kDim = 6;
constexpr std::size_t kM = 5;

LabelParams params() { return {kDim, Metric::kL2, kM, 40, 77, 100}; }

struct World {
  World() : vectors(clustered_vectors(Metric::kL2, kRows, kDim, 1)), lists(make_lists(kRows, 3)) {}

  Lists first(std::size_t n) const { return {lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(n)}; }

  Vectors vectors;
  Lists lists;
};

// Saves, loads, and saves again: the bytes of both files must agree.
std::unique_ptr<LabelGraph> round_trip(LabelGraph& graph) {
  const TemporaryFolder folder;
  const std::vector<unsigned char> identity{1, 2, 0, 3};
  const std::uint64_t length = graph.save(folder.file("a"), identity);
  CHECK(length == std::filesystem::file_size(folder.file("a")));
  std::unique_ptr<LabelGraph> loaded = LabelGraph::load(folder.file("a"));
  CHECK(loaded->identity() == identity);
  loaded->save(folder.file("b"), identity);
  CHECK((read_file(folder.file("a")) == read_file(folder.file("b"))));
  return loaded;
}

TEST_CASE("overlays that come back are those that were saved, and grow as they would have") {
  World w;
  LabelGraph graph(params());
  extend(graph, w.vectors, w.first(700));
  extend(graph, w.vectors, w.first(900));
  const auto loaded = round_trip(graph);
  CHECK(loaded->params().M == kM);
  CHECK(loaded->params().ef_construction == 40);
  CHECK(loaded->params().seed == 77);
  CHECK(loaded->params().min_rows == 100);
  CHECK(loaded->covered() == 900);
  CHECK(loaded->labels() == graph.labels());
  CHECK(loaded->nodes() == graph.nodes());
  const Vectors queries = clustered_vectors(Metric::kL2, 20, kDim, 2);
  for (LabelGraph* each : {&graph, loaded.get()}) extend(*each, w.vectors, w.lists, nullptr, 2, each == loaded.get());
  for (const std::uint32_t label : graph.labels()) {
    CHECK((search_labels(graph, w.vectors.view(), queries, {{label}}) ==
           search_labels(*loaded, w.vectors.view(), queries, {{label}})));
    for (const Slot slot : with_any(w.lists, {label}, kRows).to_slots()) {
      REQUIRE(graph.neighbors(label, slot) == loaded->neighbors(label, slot));
    }
  }
  round_trip(*loaded);
}

TEST_CASE("an empty label graph comes back") {
  LabelGraph graph(params());
  CHECK(round_trip(graph)->covered() == 0);
}

TEST_CASE("labels that are numbered anew since the snapshot are found by their rows") {
  World w;
  LabelGraph graph(params());
  extend(graph, w.vectors, w.lists);
  const auto loaded = round_trip(graph);
  const std::uint32_t renamed[] = {2, 0, 1, 5};
  Lists lists(kRows);
  for (std::size_t slot = 0; slot < kRows; ++slot) {
    for (const std::uint32_t label : w.lists[slot]) {
      if (label < 4) lists[slot].push_back(renamed[label]);
    }
  }
  for (std::size_t slot = 0; slot < 30; ++slot) lists[slot] = {2};  // and some rows have changed
  CHECK_THROWS_AS(extend(*loaded, w.vectors, lists), InvalidArgument);
  extend(*loaded, w.vectors, lists, nullptr, 1, true);
  loaded->check("here");
  CHECK(loaded->labels() == std::vector<std::uint32_t>{0, 1, 2});
  for (const std::uint32_t label : {0U, 1U, 2U}) {
    const RowSet rows = with_any(lists, {label}, kRows);
    // Whatever row has lost its label is still a node: nothing was made anew.
    CHECK(loaded->count(label) >= rows.count());
    CHECK(loaded->count(label) <= rows.count() + 30);
    for (const Slot slot : rows.to_slots()) REQUIRE_NOTHROW(loaded->neighbors(label, slot));
  }
}

TEST_CASE("an overlay whose rows have no label left is dropped after a load") {
  World w;
  LabelGraph graph(params());
  extend(graph, w.vectors, w.lists);
  const auto loaded = round_trip(graph);
  extend(*loaded, w.vectors, Lists(kRows), nullptr, 1, true);
  CHECK(loaded->labels().empty());
  CHECK(loaded->nodes() == 0);
}

TEST_CASE("what a cancelled build has added is saved as far as its overlay was there") {
  World w;
  LabelGraph graph(params());
  extend(graph, w.vectors, w.first(500));
  const FlatLists flat(w.lists);
  CancelToken token;
  const auto report = [&](std::size_t, std::size_t) { token.cancel(); };
  CHECK_THROWS_AS(graph.extend(w.vectors.view(), {flat.slots, flat.view(), false, nullptr, 1, &token, report, nullptr}),
                  Cancelled);
  const auto loaded = round_trip(graph);
  CHECK(loaded->covered() == 500);
  extend(*loaded, w.vectors, w.lists, nullptr, 1, true);
  loaded->check("here");
  CHECK(loaded->count(0) == with_any(w.lists, {0}, kRows).count());
}

// The sections of a good snapshot, open to change.
struct Sections {
  std::vector<std::string> tags{"params", "overlays", "entries", "heads", "links", "edges"};
  std::vector<std::vector<unsigned char>> data;

  void set(std::size_t section, std::size_t at, std::uint32_t value) {
    std::memcpy(&data[section][at * sizeof value], &value, sizeof value);
  }
  std::uint32_t get(std::size_t section, std::size_t at) const {
    std::uint32_t value;
    std::memcpy(&value, &data[section][at * sizeof value], sizeof value);
    return value;
  }
};

// The section a loader blames for the snapshot that `forge` makes of a good one; "" where it loads.
std::string blamed(const std::function<void(Sections&)>& forge) {
  const TemporaryFolder folder;
  World w;
  LabelGraph graph(params());
  extend(graph, w.vectors, w.first(600));
  graph.save(folder.file("good"), {});
  Sections sections;
  {
    const Container file = Container::read(folder.file("good"));
    for (const std::string& tag : sections.tags) {
      const Bytes bytes = file.section(tag);
      sections.data.emplace_back(bytes.begin(), bytes.end());
    }
  }
  forge(sections);
  std::vector<Section> list;
  for (std::size_t i = 0; i < sections.tags.size(); ++i) list.push_back({sections.tags[i], sections.data[i]});
  write_container(folder.file("forged"), {}, list);
  try {
    static_cast<void>(LabelGraph::load(folder.file("forged")));
  } catch (const Corrupted& error) {
    CHECK(error.damage.path == folder.file("forged"));
    return error.damage.section;
  }
  return "";
}

TEST_CASE("snapshots that pass their checksums and make no sense are refused") {
  enum { kParams, kOverlays, kEntries, kHeads, kLinks, kEdges };
  CHECK(blamed([](Sections&) {}) == "");
  CHECK(blamed([](Sections& s) { s.set(kParams, 0, 1); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(kParams, 1, 0); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(kParams, 3, 4); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(kParams, 8, 601); }) == "params");                     // covered
  CHECK(blamed([](Sections& s) { s.set(kParams, 10, s.get(kParams, 10) - 1); }) == "links");  // rows
  CHECK(blamed([](Sections& s) { s.data[kOverlays].pop_back(); }) == "overlays");
  CHECK(blamed([](Sections& s) { s.set(kOverlays, 0, 1000); }) == "overlays");  // labels rise
  CHECK(blamed([](Sections& s) { s.set(kOverlays, 1, 0); }) == "overlays");     // entries
  CHECK(blamed([](Sections& s) { s.set(kOverlays, 1, 33); }) == "overlays");
  CHECK(blamed([](Sections& s) { s.set(kOverlays, 2, 1); }) == "overlays");  // nodes
  CHECK(blamed([](Sections& s) { s.set(kOverlays, 4, 0); }) == "overlays");  // stride
  CHECK(blamed([](Sections& s) { s.set(kEntries, 3, 600); }) == "entries");
  CHECK(blamed([](Sections& s) { s.set(kEntries, 3, kAbsentSlot); }) == "entries");
  CHECK(blamed([](Sections& s) { s.data[kEntries].resize(s.data[kEntries].size() + 4); }) == "entries");
  CHECK(blamed([](Sections& s) { s.data[kHeads].pop_back(); }) != "");
  CHECK(blamed([](Sections& s) { s.data[kEdges].pop_back(); }) == "edges");
}

TEST_CASE("chains and edges that lead astray are refused") {
  enum { kParams, kOverlays, kEntries, kHeads, kLinks, kEdges };
  const auto rows = [](const Sections& s) { return s.get(kParams, 10); };
  CHECK(blamed([&](Sections& s) { s.set(kHeads, 0, rows(s)); }) == "heads");
  CHECK(blamed([&](Sections& s) { s.set(kHeads, 0, rows(s) - 1); }) != "");  // the row of another slot
  CHECK(blamed([&](Sections& s) { s.set(kLinks, 1, 0); }) == "links");       // the first row leads to itself
  CHECK(blamed([&](Sections& s) { s.set(kLinks, 0, 200); }) == "links");     // an overlay there is not
  CHECK(blamed([&](Sections& s) {  // a row of no slot, so that nobody looks at its overlay but save()
          s.set(kParams, 10, rows(s) + 1);
          s.data[kLinks].resize(s.data[kLinks].size() + sizeof(OverlayRows::Link), 0xff);
          s.data[kEdges].resize(s.data[kEdges].size() + 2 * kM * sizeof(Slot), 0xff);
        }) == "links");
  CHECK(blamed([&](Sections& s) { s.set(kEdges, 0, 600); }) == "edges");
  CHECK(blamed([&](Sections& s) { s.set(kEdges, 0, 0x80000000U); }) == "edges");
  CHECK(blamed([&](Sections& s) {
          for (std::size_t i = 0; i + 1 < 2 * kM; ++i) s.set(kEdges, i, kAbsentSlot);
          s.set(kEdges, 2 * kM - 1, 1);
        }) == "edges");
  CHECK(blamed([&](Sections& s) {
          Slot stranger = 0;  // a slot without any overlay
          while (s.get(kHeads, stranger) != OverlayRows::kNone) ++stranger;
          s.set(kEdges, 0, stranger);
        }) == "edges");
}

}  // namespace
}  // namespace vdb
