// The life of a table under every kind of index at once: rows come, die, are repaired away and compacted while readers
// search and snapshots are made. Mostly for the thread sanitizer; what is found is checked beside the vectors as well.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "core/distance.h"
#include "index/cells/cells.h"
#include "index/cells/population.h"
#include "index/hnsw/acorn_cases.h"
#include "index/ivf/ivf_cases.h"
#include "index/label/label_cases.h"
#include "index/range/range_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 1000;
constexpr std::size_t kFirst = 250;
constexpr std::size_t kStep = 125;
constexpr std::size_t kDim = 16;
constexpr std::size_t kK = 5;

HnswParams graph_params(Metric metric, std::size_t variant) {
  HnswParams params{kDim, metric, 6, 30, 42};
  if (variant == 0) return params;
  params.codes = variant == 1 ? CodecKind::kSq8 : CodecKind::kRabitq;
  params.code_bits = variant == 1 ? 0 : variant - 1;
  params.packed = variant == 2;
  if (variant == 3) {
    params.gamma = 3;
    params.m_beta = 6;
  }
  return params;
}

class Life {
 public:
  Life(Metric metric, std::size_t variant)
      : vectors_(clustered_vectors(metric, kRows, kDim, 1)),
        queries_(clustered_vectors(metric, 3, kDim, 2)),
        lists_(make_lists(kRows, 3)),
        keys_(random_keys(kRows, 2, 3)),
        graph_(graph_params(metric, variant)),
        range_({kDim, metric, 6, 30, 42}),
        label_({kDim, metric, 6, 30, 42, 60}),
        ivf_(kinds()[variant < 2 ? variant : 2 + variant].params(kDim, metric, 8)),
        cells_({kDim, metric, 12}) {
    grow(kFirst);
  }

  // Rows come, more and more of the oldest die; at the end those are gone from every index.
  void write() {
    for (std::size_t n = kFirst + kStep; n <= kRows; n += kStep) {
      dead_ = (n - kFirst) / 2;
      keys_[n / 2] += 40;
      grow(n);
      const RowSet alive = alive_rows(n);
      CancelToken token;
      graph_.repair(vectors_.first(n), {&alive, 300, 2, &token});
      repair(ivf_, vectors_.first(n), alive, 300);
      compact(alive);
    }
    const RowSet alive = alive_rows(kRows);
    CancelToken token;
    for (int round = 0; round < 2; ++round) {  // the first ends what has begun under rows that died since
      while (!graph_.repair(vectors_.view(), {&alive, 300, 2, &token})) {
      }
      while (!repair(ivf_, vectors_.view(), alive, 300)) {
      }
    }
  }

  // One search of each kind.
  void read() {
    const std::size_t n = covered_;
    const RowSet rows = alive_rows(n);
    const VectorView view = vectors_.first(n);
    const Ask ask{kK, &rows, 1};
    for (const Arm arm : {Arm::kPlain, Arm::kAdaptive, Arm::kTwoHop, Arm::kPost, Arm::kAcorn}) {
      if (arm == Arm::kAcorn && graph_.params().gamma == 0) continue;
      note(search_graph(graph_, view, queries_, ask, {20, 40, 0, n, arm}), rows);
    }
    const RowSet all = RowSet::all(n);
    note(search_graph(graph_, view, queries_, {kK, nullptr, 0}, {20, 40, 0, n}), all);
    note(search_labels(label_, view, queries_, {{0, 1}, 20, 20, 0, n, graph_.codes()}, ask), rows);
    note(search_range(range_, view, queries_, {kK}, {20, 20, 0, n, -200, 200, graph_.codes()}), all);
    note(search_ivf(ivf_, view, queries_, ask, {2, 20, n}), rows);
    std::vector<Slot> slots(queries_.n * kK);
    std::vector<float> density(queries_.n);
    CancelToken token;
    const Population population(cells_.snapshot(), rows);
    population.seeds(queries_.view(), {queries_.bytes(), queries_.n, kK, nullptr, 1, &token},
                     {slots.data(), density.data()});
    for (const Slot slot : slots) wrong_ += slot == kAbsentSlot || rows.contains(slot) ? 0U : 1U;
  }

  // Snapshots, which are loaded again: that checks every rule that a search relies on.
  void save() {
    const TemporaryFolder folder;
    graph_.save(folder.file("graph"), {}, cells_.image().sections());
    range_.save(folder.file("range"), {});
    label_.save(folder.file("label"), {});
    ivf_.save(folder.file("ivf"), {});
    const std::size_t n =
        std::max({Hnsw::load(folder.file("graph"))->covered(), RangeGraph::load(folder.file("range"))->covered(),
                  LabelGraph::load(folder.file("label"))->covered(), Ivf::load(folder.file("ivf"))->state()->covered,
                  Cells::restore(Container::read(folder.file("graph")))->covered()});
    wrong_ += n <= kRows ? 0U : 1U;
    wrong_ += graph_.memory_bytes() + range_.memory_bytes() + label_.memory_bytes() + ivf_.memory_bytes() > 0 ? 0U : 1U;
  }

  std::size_t wrong() const { return wrong_; }
  std::size_t nodes() const { return graph_.nodes(); }
  std::size_t listed() const { return ivf_.state()->rows; }
  std::size_t alive() const { return kRows - dead_; }

 private:
  RowSet alive_rows(std::size_t n) const { return RowSet::from_range(std::min<std::size_t>(dead_, n), n, n); }

  void grow(std::size_t n) {
    const RowSet alive = alive_rows(n);
    const VectorView view = vectors_.first(n);
    extend(graph_, view, 2, &alive);
    extend(range_, view, keys_, 2, &alive, graph_.codes());
    const FlatLists flat(Lists(lists_.begin(), lists_.begin() + static_cast<std::ptrdiff_t>(n)));
    CancelToken token;
    label_.extend(view, {flat.slots, flat.view(), false, &alive, 2, &token, {}, graph_.codes()});
    extend(ivf_, view, 2, &alive);
    cells_.extend(view, {&alive, 2, &token});
    covered_ = n;
  }

  // What compaction makes beside an index that is still searched.
  void compact(const RowSet& alive) {
    std::vector<Slot> numbers(alive.size(), kAbsentSlot);
    Slot next = 0;
    for (const Slot slot : alive.to_slots()) numbers[slot] = next++;
    ivf_.renumbered(numbers, next)->check("here");
    wrong_ += cells_.renumbered(numbers)->covered() == next ? 0U : 1U;
    CancelToken token;
    for (int round = 0; round < 2; ++round) {
      while (!graph_.repair(vectors_.first(alive.size()), {&alive, 300, 2, &token})) {
      }
    }
    graph_.renumbered(numbers, next)->check("here");
  }

  // Counts what is out of order, not among `rows` or at another distance than its own.
  void note(const Answer& answer, const RowSet& rows) {
    for (std::size_t q = 0; q < queries_.n; ++q) {
      with_distance(vectors_.view(), queries_.row(q), [&]<class Distance>(const Distance& distance) {
        float last = -std::numeric_limits<float>::infinity();
        for (std::size_t i = 0; i < answer.found(q).size(); ++i) {
          const Slot slot = answer.slots[q * kK + i];
          const float found = answer.distances[q * kK + i];
          const bool right = rows.contains(slot) && found >= last && found == Distance::reported(distance(slot));
          wrong_ += right ? 0U : 1U;
          last = found;
        }
      });
    }
  }

  const Vectors vectors_;
  const Vectors queries_;
  const Lists lists_;
  Keys keys_;  // the writer's
  Hnsw graph_;
  RangeGraph range_;
  LabelGraph label_;
  Ivf ivf_;
  Cells cells_;
  std::atomic<std::size_t> covered_{0};
  std::atomic<std::size_t> dead_{0};  // slots below have died, entry points first
  std::atomic<std::size_t> wrong_{0};
};

TEST_CASE("rows come, die and are compacted while readers search and snapshots are made, under every index") {
  for (std::size_t variant = 0; variant < 4; ++variant) {
    CAPTURE(variant);
    Life life(kMetrics[variant % 3], variant);
    std::atomic<bool> done{false};
    std::vector<std::thread> others;
    for (int i = 0; i < 2; ++i) {
      others.emplace_back([&] {
        for (bool last = false; !last; life.read()) last = done;
      });
    }
    others.emplace_back([&] {
      for (bool last = false; !last; life.save()) last = done;
    });
    life.write();
    done = true;
    for (std::thread& other : others) other.join();
    CHECK(life.wrong() == 0);
    CHECK(life.nodes() == life.alive());
    CHECK(life.listed() == life.alive());
  }
}

}  // namespace
}  // namespace vdb
