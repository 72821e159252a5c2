// Cells over the life of a table, and the rows of a filter found through them.
#include "index/cells/cells.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "codec/code_store.h"
#include "core/nearest_centroid.h"
#include "data.h"
#include "index/cells/population.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 8000;
constexpr std::size_t kDim = 24;
constexpr std::size_t kWanted = 16;

void place(Cells& cells, const VectorView& view, std::size_t threads = 1, const RowSet* rows = nullptr) {
  CancelToken token;
  cells.extend(view, {rows, threads, &token});
}

struct Found {
  std::vector<Slot> slots;
  std::vector<float> density;

  std::vector<Slot> of(std::size_t q, std::size_t wanted) const {
    const auto begin = slots.begin() + static_cast<std::ptrdiff_t>(q * wanted);
    return {begin, std::find(begin, begin + static_cast<std::ptrdiff_t>(wanted), kAbsentSlot)};
  }
};

Found seeds(const Cells& cells, const RowSet& allowed, const Vectors& queries, std::size_t wanted = kWanted,
            std::size_t threads = 1) {
  Found found{std::vector<Slot>(queries.n * wanted), std::vector<float>(queries.n)};
  CancelToken token;
  const Population population(cells.snapshot(), allowed);
  population.seeds(queries.view(), {queries.bytes(), queries.n, wanted, nullptr, threads, &token},
                   {found.slots.data(), found.density.data()});
  return found;
}

RowSet every(std::size_t step, std::size_t n) {
  std::vector<Slot> slots;
  for (std::size_t i = 0; i < n; i += step) slots.push_back(static_cast<Slot>(i));
  return RowSet::from_slots(slots, n);
}

TEST_CASE("every row lies in the cell of its nearest centroid, whatever came when and by how many threads") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Cells at_once({kDim, Metric::kL2});
  place(at_once, rows.view(), 2);
  Cells in_parts({kDim, Metric::kL2});
  for (const std::size_t n : {1U, 3U, 100U, 399U, 1700U, 6799U, 6801U, 8000U}) {
    place(in_parts, rows.first(n));
    CHECK(in_parts.covered() == n);
  }
  CHECK(at_once.count() == 134);
  CHECK(in_parts.count() == 123);  // of 6,801 rows, four times the 1,700
  for (const Cells* const cells : {&at_once, &in_parts}) {
    const Cells::Snapshot now = cells->snapshot();
    std::vector<std::uint32_t> nearest(kRows);
    std::vector<float> distances(kRows);
    const NearestCentroid centroids({now.centroids->values.data(), now.centroids->n, kDim});
    centroids.find({rows.values.data(), kRows, kDim}, {}, {nearest.data(), distances.data()});
    std::size_t listed = 0;
    for (std::size_t c = 0; c < now.centroids->n; ++c) {
      const auto run = now.runs->of(c);
      listed += run.size();
      CHECK(std::is_sorted(run.begin(), run.end()));
      for (const Slot slot : run) CHECK(nearest[slot] == c);
    }
    CHECK(listed == kRows);
    CHECK(cells->memory_bytes() > kRows * (sizeof(Cells::Cell) + sizeof(Slot)));
  }
}

// Sparse sets are listed, dense ones tested row by row: neither leaves out a row of a nearer cell.
TEST_CASE("seeds are allowed rows of the nearest cells that have any") {
  for (const Metric metric : kMetrics) {
    const Vectors rows = clustered_vectors(metric, kRows, kDim, 2);
    const Vectors queries = clustered_vectors(metric, 30, kDim, 3);
    Cells cells({kDim, metric});
    place(cells, rows.view());
    const Cells::Snapshot now = cells.snapshot();
    for (const std::size_t step : {1U, 2U, 63U, 65U, 500U, 7999U}) {
      const RowSet allowed = every(step, kRows);
      const Found found = seeds(cells, allowed, queries);
      CHECK(seeds(cells, allowed, queries, kWanted, 2).slots == found.slots);
      CAPTURE(name_of(metric));
      CAPTURE(step);
      for (std::size_t q = 0; q < queries.n; ++q) {
        const std::vector<Slot> slots = found.of(q, kWanted);
        CHECK(slots.size() == std::min(kWanted, allowed.count()));
        const std::set<Slot> distinct(slots.begin(), slots.end());
        CHECK(distinct.size() == slots.size());
        std::vector<float> prepared(kDim);
        VectorView one = queries.view();
        to_code_space(one, static_cast<Slot>(q), code_scale(one, static_cast<Slot>(q)), prepared.data());
        std::vector<Estimate> estimates(now.centroids->n);
        now.centroids->codec.bind(prepared.data()).estimate_block(now.centroids->rows(), estimates.data());
        const auto distance = [&](Slot slot) { return estimates[now.cell_of->data()[slot]].distance; };
        float farthest = -std::numeric_limits<float>::infinity();
        for (const Slot slot : slots) {
          CHECK(allowed.contains(slot));
          farthest = std::max(farthest, distance(slot));
        }
        for (const Slot slot : allowed.to_slots()) CHECK((distinct.contains(slot) || distance(slot) >= farthest));
      }
    }
  }
}

TEST_CASE("density tells a filter that goes along with the query from one that goes against it") {
  const Vectors rows = clustered_vectors(Metric::kCosine, kRows, kDim, 4);
  const Vectors queries = clustered_vectors(Metric::kCosine, 10, kDim, 5);
  Cells cells({kDim, Metric::kCosine});
  place(cells, rows.view());
  const Cells::Snapshot now = cells.snapshot();
  const Found anywhere = seeds(cells, every(3, kRows), queries);
  for (const float density : anywhere.density) CHECK(density == doctest::Approx(1.0 / 3).epsilon(0.35));
  for (std::size_t q = 0; q < queries.n; ++q) {
    const Vectors one(Metric::kCosine, kDim, {queries.row(q), queries.row(q) + kDim});
    const Slot nearest = seeds(cells, RowSet::all(kRows), one).slots[0];
    std::vector<Slot> inside;
    std::vector<Slot> outside;
    const float* const near = rows.row(nearest);
    for (Slot slot = 0; slot < kRows; ++slot) {
      const float squared = kernels().distance_f32.l2_squared.pair(rows.row(slot), near, kDim);
      (squared < 12 ? inside : outside).push_back(slot);  // clouds of deviation 0.3 lie some 7 apart
    }
    CHECK(inside.size() < kRows / 4);
    CHECK(seeds(cells, RowSet::from_slots(inside, kRows), one).density[0] > 0.9F);
    const Found against = seeds(cells, RowSet::from_slots(outside, kRows), one);
    CHECK(against.density[0] < 0.1F);
    CHECK(against.of(0, kWanted).size() == kWanted);
  }
}

TEST_CASE("a filter of many rows of a large table is told by a sample of them") {
  constexpr std::size_t kMany = 1'200'000;
  Random random(6);
  std::vector<float> values(kMany * 2);
  for (float& value : values) value = static_cast<float>(random.unit());
  const Vectors rows(Metric::kL2, 2, std::move(values));
  Cells cells({2, Metric::kL2, 64});
  place(cells, rows.view(), 0);
  const RowSet allowed = every(66, kMany);  // 18,182 rows, all in the same place of a word or beside it
  const Vectors queries = uniform_vectors(Metric::kL2, 20, 2, 7);
  const Found found = seeds(cells, allowed, queries);
  for (std::size_t q = 0; q < queries.n; ++q) {
    CHECK(found.of(q, kWanted).size() == kWanted);
    for (const Slot slot : found.of(q, kWanted)) CHECK(allowed.contains(slot));
    CHECK(found.density[q] == doctest::Approx(1.0 / 66).epsilon(0.25));
  }
}

TEST_CASE("rows that were not to be placed, came later or are of a later state are no seeds") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 8);
  const Vectors queries = clustered_vectors(Metric::kL2, 5, kDim, 9);
  Cells cells({kDim, Metric::kL2});
  const RowSet odd = RowSet::all(6000) - every(2, 6000);
  place(cells, rows.first(6000), 1, &odd);
  const Found of_all = seeds(cells, RowSet::all(kRows), queries, 4000);
  for (std::size_t q = 0; q < queries.n; ++q) {
    std::vector<Slot> slots = of_all.of(q, 4000);
    std::sort(slots.begin(), slots.end());
    CHECK(slots == odd.to_slots());
  }
  for (const std::size_t step : {1U, 100U}) {
    const RowSet earlier = every(step, 500) - every(2, 500);
    const Found of_earlier = seeds(cells, earlier, queries, 500);
    CHECK(of_earlier.of(0, 500).size() == earlier.count());
  }
}

TEST_CASE("searches beside an extend see the cells they took") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 10);
  const Vectors queries = clustered_vectors(Metric::kL2, 2, kDim, 11);
  const RowSet allowed = RowSet::all(500);
  Cells cells({kDim, Metric::kL2});
  place(cells, rows.first(500));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (std::size_t n = 600; n <= kRows; n += 100) place(cells, rows.first(n), 2);
    done = true;
  });
  std::size_t searches = 0;
  while (!done || searches == 0) {
    CHECK(seeds(cells, allowed, queries, 500).of(1, 500).size() == 500);
    ++searches;
  }
  writer.join();
  const Cells::Snapshot now = cells.snapshot();
  CHECK(now.runs->slots.size() + (now.late ? now.late->slots.size() : 0) == kRows);
}

TEST_CASE("no rows, no directions and wrong calls are clear") {
  Cells cells({kDim, Metric::kCosine});
  const Vectors rows = clustered_vectors(Metric::kCosine, 100, kDim, 12);
  const Vectors queries = clustered_vectors(Metric::kCosine, 2, kDim, 13);
  CHECK(seeds(cells, RowSet::all(100), queries).of(0, kWanted).empty());
  const RowSet none = RowSet::none(50);
  place(cells, rows.first(50), 1, &none);
  CHECK(cells.count() == 0);
  CHECK(seeds(cells, RowSet::all(50), queries).of(0, kWanted).empty());
  const Vectors zeros(Metric::kCosine, kDim, std::vector<float>(60 * kDim, 0.0F));
  place(cells, zeros.view());
  CHECK(cells.count() == 0);
  place(cells, rows.view());
  CHECK(cells.count() == 15);
  CHECK(seeds(cells, RowSet::all(100), zeros, 5).of(0, 5).size() == 5);  // nowhere is as good as anywhere
  const Vectors lengths = clustered_vectors(Metric::kL2, 100, kDim, 12);
  CHECK_THROWS_AS(place(cells, lengths.view()), InvalidArgument);
  CHECK_THROWS_AS(seeds(cells, RowSet::all(100), lengths), InvalidArgument);
  CHECK_THROWS_AS(Cells({kDim, Metric::kCustom}), InvalidArgument);
  CHECK_THROWS_AS(Cells({0, Metric::kL2}), InvalidArgument);
  CHECK_THROWS_AS(Cells({kDim, Metric::kL2, 65'536}), InvalidArgument);
  CancelToken cancelled;
  cancelled.cancel();
  Cells others({kDim, Metric::kCosine});
  CHECK_THROWS_AS(others.extend(rows.view(), {nullptr, 1, &cancelled}), Cancelled);
  CHECK(others.covered() == 0);
}

std::unique_ptr<Cells> saved_and_restored(const Cells& cells) {
  const TemporaryFolder folder;
  const Cells::Image image = cells.image();
  write_container(folder.file("cells"), {}, image.sections());
  return Cells::restore(Container::read(folder.file("cells")));
}

TEST_CASE("cells that come back are those that were saved, and go on") {
  const Vectors rows = clustered_vectors(Metric::kCosine, 3000, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 20, kDim, 2);
  const RowSet allowed = every(5, 3000);
  Cells cells({kDim, Metric::kCosine, 40, 7});
  place(cells, rows.first(2500));
  const auto loaded = saved_and_restored(cells);
  REQUIRE(loaded != nullptr);
  CHECK(loaded->params().n == 40);
  CHECK(loaded->params().seed == 7);
  for (Cells* each : {&cells, loaded.get()}) place(*each, rows.view());
  CHECK(loaded->covered() == 3000);
  const Found before = seeds(cells, allowed, queries);
  const Found after = seeds(*loaded, allowed, queries);
  CHECK(before.slots == after.slots);
  CHECK(before.density == after.density);
  const auto empty = saved_and_restored(Cells({kDim, Metric::kL2}));
  REQUIRE(empty != nullptr);
  CHECK(empty->covered() == 0);
}

TEST_CASE("rows that come late are sorted beside the others, and found as if they were among them") {
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 20, kDim, 2);
  Cells cells({kDim, Metric::kL2});
  place(cells, rows.first(kRows - 200));
  const auto sorted = cells.snapshot().runs;
  for (std::size_t n = kRows - 150; n <= kRows; n += 50) {
    place(cells, rows.first(n));
    const Cells::Snapshot now = cells.snapshot();
    CHECK(now.runs == sorted);
    REQUIRE(now.late != nullptr);
    CHECK(now.late->slots.size() == n - (kRows - 200));
    const auto at_once = saved_and_restored(cells);
    CHECK(at_once->snapshot().late == nullptr);
    for (const std::size_t known : {n, n - 20, std::size_t{5000}}) {
      const RowSet allowed = every(3, known);
      const Found found = seeds(cells, allowed, queries, 200);
      const Found expected = seeds(*at_once, allowed, queries, 200);
      CHECK(found.slots == expected.slots);
      CHECK(found.density == expected.density);
    }
  }
}

TEST_CASE("renumbered cells hold the same rows under their new slots") {
  const Vectors rows = clustered_vectors(Metric::kL2, 1000, kDim, 1);
  Cells cells({kDim, Metric::kL2});
  place(cells, rows.view());
  std::vector<Slot> numbers(1000, kAbsentSlot);
  for (Slot slot = 0; slot < 700; slot += 3) numbers[slot] = slot / 3;
  const auto moved = cells.renumbered(numbers);
  CHECK(moved->covered() == 234);
  CHECK(moved->count() == cells.count());
  const Cells::Snapshot before = cells.snapshot();
  const Cells::Snapshot after = moved->snapshot();
  for (Slot slot = 0; slot < 234; ++slot) REQUIRE((*after.cell_of)[slot] == (*before.cell_of)[slot * 3]);
  CHECK_THROWS_AS(static_cast<void>(cells.renumbered(std::span(numbers).first(999))), InvalidArgument);
  numbers[3] = 0;
  CHECK_THROWS_AS(static_cast<void>(cells.renumbered(numbers)), InvalidArgument);
}

TEST_CASE("sections that are not those of cells are refused") {
  const Vectors rows = clustered_vectors(Metric::kL2, 500, kDim, 1);
  Cells cells({kDim, Metric::kL2});
  place(cells, rows.view());
  const Cells::Image image = cells.image();
  const TemporaryFolder folder;
  const auto refused = [&](std::size_t section, const std::function<void(std::vector<unsigned char>&)>& spoil) {
    std::array<Section, 3> sections = image.sections();
    std::vector<unsigned char> bytes(sections[section].data.begin(), sections[section].data.end());
    spoil(bytes);
    sections[section].data = bytes;
    std::filesystem::remove(folder.file("bad"));
    write_container(folder.file("bad"), {}, sections);
    CHECK_THROWS_AS(static_cast<void>(Cells::restore(Container::read(folder.file("bad")))), Corrupted);
  };
  const auto with = [](std::size_t at, auto value) {
    return [at, value](std::vector<unsigned char>& bytes) { std::memcpy(bytes.data() + at, &value, sizeof value); };
  };
  refused(0, [](auto& bytes) { bytes.pop_back(); });
  refused(0, with(0, std::uint32_t{0}));         // no dimension
  refused(0, with(4, std::uint32_t{3}));         // a metric of the caller's
  refused(0, with(12, std::uint32_t{70'000}));   // cells
  refused(0, with(24, std::uint64_t{499}));      // covered
  refused(0, with(24, std::uint64_t{1} << 40));  //
  refused(0, with(32, std::uint64_t{501}));      // trained on more
  refused(1, [](auto& bytes) { bytes.erase(bytes.end() - 4, bytes.end()); });
  refused(1, with(8, std::numeric_limits<float>::infinity()));
  refused(2, [](auto& bytes) { bytes.push_back(0); });
  refused(2, with(10, std::uint16_t{60'000}));  // no such cell
}

}  // namespace
}  // namespace vdb
