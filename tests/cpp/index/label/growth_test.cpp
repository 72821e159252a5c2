// Overlays over their life: rows and labels that come, change and go, builds that are cancelled.
#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "label_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 2000;
constexpr std::size_t kDim = 8;

LabelParams params() { return {kDim, Metric::kL2, 8, 60, 42, 200}; }

struct World {
  World()
      : vectors(clustered_vectors(Metric::kL2, kRows, kDim, 1)), queries(clustered_vectors(Metric::kL2, 40, kDim, 2)) {}

  // Recall of a label's overlay among the rows that have it by now and live.
  double recall_of(LabelGraph& graph, const Lists& lists, std::uint32_t label, const RowSet* alive = nullptr) {
    const VectorView view = vectors.first(lists.size());
    RowSet rows = with_any(lists, {label}, lists.size());
    if (alive != nullptr) rows = rows & *alive;
    const Answer answer = search_labels(graph, view, queries, {{label}, 80}, {.rows = &rows});
    CHECK(wrong_rows(answer, rows) == 0);
    return recall(answer, scan_all(view, queries, {.rows = &rows}));
  }

  Vectors vectors;
  Vectors queries;
};

Lists head(const Lists& lists, std::size_t n) {
  return {lists.begin(), lists.begin() + static_cast<std::ptrdiff_t>(n)};
}

TEST_CASE("overlays follow rows that come, and begin when their label becomes frequent") {
  World w;
  const Lists lists = make_lists(kRows, 3);
  LabelGraph graph(params());
  for (const std::size_t n : {400U, 401U, 700U, 1300U, 2000U}) {
    const Lists known = head(lists, n);
    extend(graph, w.vectors, known, nullptr, 2);
    graph.check("here");
    CHECK(graph.covered() == n);
    for (const std::uint32_t label : {0U, 1U, 2U, 3U}) {
      const std::size_t members = with_any(known, {label}, n).count();
      CAPTURE(n);
      CAPTURE(label);
      CHECK(graph.count(label) == (members >= 200 ? members : 0));
      if (members >= 200) CHECK(w.recall_of(graph, known, label) >= 0.97);
    }
  }
  CHECK(graph.labels() == std::vector<std::uint32_t>{0, 1, 2});
}

TEST_CASE("every label has an overlay where one row is enough for it, also that of all rows") {
  World w;
  const Lists lists = make_lists(kRows, 3);
  LabelParams each = params();
  each.min_rows = 1;
  LabelGraph graph(each);
  for (const std::size_t n : {0U, 1U, 60U, 2000U}) {
    const Lists known = head(lists, n);
    extend(graph, w.vectors, known, nullptr, 2);
    graph.check("here");
    for (const std::uint32_t label : {0U, 1U, 2U, 3U, 9U}) {
      CAPTURE(n);
      CAPTURE(label);
      CHECK(graph.count(label) == with_any(known, {label}, n).count());
    }
  }
  CHECK(w.recall_of(graph, lists, 9) >= 0.97);
  CHECK(w.recall_of(graph, lists, 3) >= 0.97);
}

TEST_CASE("rows that get a label are found under it, and those that lose it stay on the way until they are many") {
  World w;
  Lists lists(kRows);
  for (std::size_t slot = 0; slot < kRows; ++slot) lists[slot] = {slot % 4 == 0 ? 1U : 0U};
  for (std::size_t slot = 0; slot < kRows; slot += 8) lists[slot] = {2, 2};
  LabelGraph graph(params());
  extend(graph, w.vectors, lists);
  CHECK(graph.count(1) == 250);
  CHECK(graph.count(2) == 250);
  for (std::size_t slot = 4; slot < 40 * 8; slot += 8) lists[slot] = {2};  // 40 rows change from 1 to 2
  extend(graph, w.vectors, lists);
  graph.check("here");
  CHECK(graph.count(1) == 250);
  CHECK(graph.count(2) == 290);
  for (const std::uint32_t label : {0U, 1U, 2U}) CHECK(w.recall_of(graph, lists, label) >= 0.97);
  for (std::size_t slot = 4; slot < 100 * 8; slot += 8) lists[slot] = {2};
  extend(graph, w.vectors, lists);
  graph.check("here");
  CHECK(graph.count(1) == 150);  // more than a third were dead: made anew
  for (const std::uint32_t label : {0U, 1U, 2U}) CHECK(w.recall_of(graph, lists, label) >= 0.97);
}

TEST_CASE("dead rows are walked through, and an overlay of too few living ones is dropped") {
  World w;
  const Lists lists = make_lists(kRows, 3);
  LabelGraph graph(params());
  extend(graph, w.vectors, lists);
  const std::size_t nodes = graph.count(1);
  RowSet alive = RowSet::from_range(400, kRows, kRows);
  extend(graph, w.vectors, lists, &alive);
  CHECK(graph.count(1) == nodes);
  CHECK(w.recall_of(graph, lists, 1, &alive) >= 0.97);
  alive = RowSet::from_range(1000, kRows, kRows);
  extend(graph, w.vectors, lists, &alive);
  graph.check("here");
  CHECK(graph.count(1) == (with_any(lists, {1}, kRows) & alive).count());
  CHECK(w.recall_of(graph, lists, 1, &alive) >= 0.97);
  alive = RowSet::from_range(1700, kRows, kRows);
  extend(graph, w.vectors, lists, &alive);
  CHECK(graph.count(1) == 0);
  CHECK(graph.labels() == std::vector<std::uint32_t>{0});
}

TEST_CASE("what overlays no longer use is given back") {
  World w;
  LabelGraph graph(params());
  std::size_t most = 0;
  for (std::uint32_t round = 0; round < 12; ++round) {
    const Lists lists(kRows, {100 + round});
    Lists half = lists;
    for (std::size_t slot = 0; slot < kRows; slot += 2) half[slot] = {};
    extend(graph, w.vectors, half);
    graph.check("here");
    CHECK(graph.labels() == std::vector<std::uint32_t>{100 + round});
    if (round == 2) most = graph.memory_bytes();
  }
  CHECK(graph.memory_bytes() <= 2 * most);
}

TEST_CASE("overlays that are built at once and row by row find the same") {
  World w;
  const Lists lists = head(make_lists(kRows, 3), 900);
  LabelGraph graph(params());
  for (std::size_t n = 600; n <= 900; n += 3) extend(graph, w.vectors, head(lists, n));
  graph.check("here");
  CHECK(w.recall_of(graph, lists, 0) >= 0.97);
}

TEST_CASE("a cancelled build leaves what can be searched, and the next call goes on") {
  World w;
  const Lists lists = make_lists(kRows, 3);
  const Lists first = head(lists, 1000);
  LabelGraph graph(params());
  extend(graph, w.vectors, first);
  const FlatLists flat(lists);
  for (const std::size_t stop : {1U, 300U}) {
    CancelToken token;
    const auto report = [&](std::size_t done, std::size_t) {
      if (done >= stop) token.cancel();
    };
    CHECK_THROWS_AS(
        graph.extend(w.vectors.view(), {flat.slots, flat.view(), false, nullptr, 2, &token, report, nullptr}),
        Cancelled);
    graph.check("here");
    CHECK(graph.covered() == 1000);
    CHECK(w.recall_of(graph, first, 0) >= 0.97);
    CHECK(graph.count(2) == 0);  // it was rare among the first
  }
  extend(graph, w.vectors, lists);
  graph.check("here");
  CHECK(graph.count(0) == with_any(lists, {0}, kRows).count());
  for (const std::uint32_t label : {0U, 1U, 2U}) CHECK(w.recall_of(graph, lists, label) >= 0.97);
}

TEST_CASE("searches go on beside growth, over the rows they were asked for") {
  World w;
  const Lists lists = make_lists(kRows, 3);
  LabelGraph graph(params());
  extend(graph, w.vectors, head(lists, 600));
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  const RowSet rows = with_any(lists, {0}, 600).resized(kRows, false);
  std::thread reader([&] {
    while (!done) {
      wrong += wrong_rows(search_labels(graph, w.vectors.view(), w.queries, {{0}, 40, 0, 0, 600}), rows);
      static_cast<void>(graph.labels());
    }
  });
  for (std::size_t n = 700; n <= kRows; n += 100) {
    Lists known = head(lists, n);
    for (std::size_t slot = 0; slot < n; slot += 2) std::erase(known[slot], 1U);  // 1 is made anew
    extend(graph, w.vectors, known, nullptr, 2);
    extend(graph, w.vectors, head(lists, n), nullptr, 2);
  }
  done = true;
  reader.join();
  CHECK(wrong == 0);
  graph.check("here");
}

std::vector<unsigned char> bytes_of_graph(LabelGraph& graph) {
  const TemporaryFolder folder;
  graph.save(folder.file("graph"), {});
  return read_file(folder.file("graph"));
}

TEST_CASE("overlays that are told of what has changed are those that are told of everything") {
  World w;
  Random random(8);
  Lists lists = make_lists(kRows, 3);
  RowSet alive = RowSet::all(500);
  LabelGraph told(params());
  LabelGraph compared(params());
  std::vector<Slot> some(500);
  std::iota(some.begin(), some.end(), 0U);
  for (std::size_t n = 500; n <= kRows; n += 75) {
    const Lists known = head(lists, n);
    const FlatLists flat(known, some);
    CancelToken token;
    told.extend(w.vectors.first(n), {flat.slots, flat.view(), false, &alive, 2, &token, {}, nullptr});
    extend(compared, w.vectors, known, &alive);
    told.check("here");
    CHECK((bytes_of_graph(told) == bytes_of_graph(compared)));
    // Rows die, others change their labels, or lose them all, and more come.
    std::vector<Slot> dying;
    for (std::size_t i = 0; i < 40; ++i) dying.push_back(static_cast<Slot>(random.below(n)));
    alive = (alive - RowSet::from_slots(dying, n)).resized(std::min(n + 75, kRows), true);
    std::set<Slot> changed;
    for (std::size_t i = 0; i < 60; ++i) changed.insert(static_cast<Slot>(random.below(n)));
    for (const Slot slot : changed) {
      lists[slot] = slot % 3 == 0 ? std::vector<std::uint32_t>{} : std::vector<std::uint32_t>{0, slot % 2 + 1U};
    }
    for (std::size_t slot = n; slot < std::min(n + 75, kRows); ++slot) changed.insert(static_cast<Slot>(slot));
    some.assign(changed.begin(), changed.end());
  }
}

TEST_CASE("an overlay is made in slices, beside the one that it replaces") {
  World w;
  Lists lists(kRows);
  for (std::size_t slot = 0; slot < kRows; ++slot) lists[slot] = {slot % 2 == 0 ? 1U : 0U};
  LabelGraph graph(params());
  extend(graph, w.vectors, lists);
  CHECK(graph.count(1) == 1000);
  std::vector<Slot> changed;
  for (Slot slot = 0; slot < 800; slot += 2) changed.push_back(slot);
  for (const Slot slot : changed) lists[slot] = {7};  // enough for an overlay of 7, and for another one of 1
  std::size_t calls = 0;
  while (calls == 0 || graph.lacking() > 0) {
    const std::size_t before = graph.lacking();
    const FlatLists flat(lists, changed);
    CancelToken token;
    graph.extend(w.vectors.view(), {flat.slots, flat.view(), false, nullptr, 2, &token, {}, nullptr, 90});
    graph.check("here");
    if (calls++ > 0) CHECK(before - graph.lacking() <= 90 + 2);
    if (graph.lacking() > 0) {
      CHECK(graph.count(1) + graph.count(7) >= 1000);  // the old one is there until it is replaced
      CHECK(w.recall_of(graph, lists, 1) >= 0.97);
    }
    changed = calls == 3 ? std::vector<Slot>{2, 4} : std::vector<Slot>{};
    if (calls == 3) lists[2] = lists[4] = {1};  // rows change while the overlays are made
  }
  CHECK(calls == (1000 + 89) / 90);
  CHECK(graph.count(1) == 602);
  CHECK(graph.count(7) >= 398);
  CHECK(graph.count(7) <= 400);
  for (const std::uint32_t label : {0U, 1U, 7U}) CHECK(w.recall_of(graph, lists, label) >= 0.97);
}

TEST_CASE("memberships that are not of the view are refused") {
  World w;
  LabelGraph graph(params());
  CancelToken token;
  const VectorView view = w.vectors.first(3);
  std::vector<Slot> slots{0, 1, 2};
  const auto refused = [&](std::vector<std::uint64_t> offsets, std::vector<std::uint32_t> labels) {
    const LabelExtend given{slots, {offsets, labels}, false, nullptr, 1, &token, {}, nullptr};
    CHECK_THROWS_AS(graph.extend(view, given), InvalidArgument);
  };
  refused({0, 1, 1}, {5});
  refused({0, 1, 1, 1, 1}, {5});
  refused({1, 1, 1, 1}, {5});
  refused({0, 2, 1, 1}, {5});
  refused({0, 1, 1, 2}, {5});
  refused({0, 1, 1, 1}, {0xffffffffU});
  slots = {0, 1, 3};
  refused({0, 1, 1, 1}, {5});
  slots = {0, 2, 2};
  refused({0, 1, 1, 1}, {5});
  CHECK_THROWS_AS(LabelGraph({kDim, Metric::kL2, 1, 60, 42, 200}), InvalidArgument);
  CHECK_THROWS_AS(LabelGraph({kDim, Metric::kL2, 8, 0, 42, 200}), InvalidArgument);
  CHECK_THROWS_AS(LabelGraph({kDim, Metric::kL2, 8, 60, 42, 0}), InvalidArgument);
  CHECK_THROWS_AS(LabelGraph({0, Metric::kL2, 8, 60, 42, 200}), InvalidArgument);
}

}  // namespace
}  // namespace vdb
