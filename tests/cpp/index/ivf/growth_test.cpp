// Inverted files that grow, shrink and move, beside searches.
#include <doctest/doctest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "ivf_cases.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kDim = 24;

TEST_CASE("rows that come later are found as well as those of a fresh index") {
  const Vectors rows = clustered_vectors(Metric::kCosine, 6000, kDim, 1, 100);
  const Vectors queries = clustered_vectors(Metric::kCosine, 100, kDim, 2, 100);
  const Answer truth = scan_all(rows.view(), queries, {});
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf fresh(kind.params(kDim, Metric::kCosine, 60));
    extend(fresh, rows.view());
    Ivf grown(kind.params(kDim, Metric::kCosine, 60));
    for (std::size_t n = 4000; n <= 6000; n += 250) extend(grown, rows.first(n));
    grown.check("index");
    CHECK(grown.state()->model->trained_on == 4000);
    CHECK(grown.state()->rows == 6000);
    CHECK(grown.state()->covered == 6000);
    CHECK(grown.drift() < 1.25);
    CHECK((search_ivf(grown, rows.view(), queries, {}, reading_all()) == truth));
    const double expected = recall(search_ivf(fresh, rows.view(), queries, {}, probing(10)), truth);
    CHECK(recall(search_ivf(grown, rows.view(), queries, {}, probing(10)), truth) > expected - 0.03);
  }
}

TEST_CASE("a list that doubles is split, and what searches hold does not change") {
  const Vectors rows = clustered_vectors(Metric::kL2, 3000, kDim, 1, 30);
  Ivf index(kinds()[4].params(kDim, Metric::kL2, 30));
  extend(index, rows.view());
  const auto before = index.state();
  const std::vector<std::size_t> sizes = sizes_of(index);
  // As many rows again, all around one of the old ones.
  Random random(7);
  std::vector<float> values = rows.values;
  for (std::size_t i = 0; i < 3000; ++i) {
    for (std::size_t d = 0; d < kDim; ++d) values.push_back(rows.values[d] + static_cast<float>(0.3 * random.normal()));
  }
  const Vectors more(Metric::kL2, kDim, std::move(values));
  extend(index, more.view());
  index.check("index");
  CHECK(index.state()->model == before->model);
  CHECK(index.state()->lists.size() > before->lists.size() + 5);
  std::size_t longest = 0;
  for (const std::size_t size : sizes_of(index)) longest = std::max(longest, size);
  CHECK(longest < 1000);
  std::size_t held = 0;
  for (const auto& list : before->lists) held += list->rows;
  CHECK(held == 3000);
  CHECK(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) == 3000);
  const Vectors queries = clustered_vectors(Metric::kL2, 20, kDim, 2, 30);
  CHECK((search_ivf(index, more.view(), queries, {}, reading_all()) == scan_all(more.view(), queries, {})));
}

TEST_CASE("rows from elsewhere make it train anew, and so do four times the rows") {
  const Vectors rows = clustered_vectors(Metric::kL2, 3000, kDim, 1, 30);
  std::vector<float> values = rows.values;
  const Vectors elsewhere = uniform_vectors(Metric::kL2, 1000, kDim, 5);
  for (const float value : elsewhere.values) values.push_back(8 + 3 * value);
  const Vectors mixed(Metric::kL2, kDim, std::move(values));
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf index(kind.params(kDim, Metric::kL2));
    extend(index, rows.first(1000));
    extend(index, rows.first(1100));
    CHECK(index.state()->model->trained_on == 1000);
    extend(index, mixed.first(3000));
    CHECK(index.state()->model->trained_on == 1000);
    const RowSet alive = every(2, 4000);
    extend(index, mixed.view(), 1, &alive);
    CHECK(index.state()->model->trained_on == 2000);
    CHECK(index.state()->rows == 2000);
    CHECK(index.drift() == 1.0);
    index.check("index");
  }
  Ivf index(kinds()[4].params(kDim, Metric::kL2));
  extend(index, rows.first(700));
  const std::size_t lists = index.state()->lists.size();
  extend(index, rows.first(2799));
  CHECK(index.state()->model->trained_on == 700);
  extend(index, rows.first(2800));
  CHECK(index.state()->model->trained_on == 2800);
  CHECK(index.state()->lists.size() > lists);
}

TEST_CASE("only rows that are wanted go into lists") {
  const Vectors rows = clustered_vectors(Metric::kL2, 1000, kDim, 1);
  const RowSet none = RowSet::none(1000);
  const RowSet odd = ~every(2, 1000);
  Ivf index(kinds()[0].params(kDim, Metric::kL2, 10));
  extend(index, rows.view(), 1, &none);
  CHECK(index.state()->covered == 0);
  extend(index, rows.view(), 1, &odd);
  CHECK(index.state()->covered == 1000);
  CHECK(index.state()->rows == 500);
  const Vectors queries = clustered_vectors(Metric::kL2, 10, kDim, 2);
  CHECK((search_ivf(index, rows.view(), queries, {}, reading_all()) == scan_all(rows.view(), queries, {10, &odd, 1})));
}

TEST_CASE("dead rows leave their lists in slices") {
  const Vectors rows = clustered_vectors(Metric::kL2, 2000, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 10, kDim, 2);
  const RowSet alive = every(3, 2000);
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf index(kind.params(kDim, Metric::kL2, 20));
    CHECK(repair(index, rows.view(), alive));
    extend(index, rows.view());
    const RowSet short_set = RowSet::all(1999);
    CHECK_THROWS_AS(repair(index, rows.view(), short_set), InvalidArgument);
    CHECK(!repair(index, rows.first(1999), alive));
    std::size_t slices = 1;
    while (!repair(index, rows.view(), alive, 300)) ++slices;
    CHECK(slices > 3);
    index.check("index");
    CHECK(index.state()->rows == alive.count());
    CHECK((search_ivf(index, rows.view(), queries, {}, reading_all()) ==
           scan_all(rows.view(), queries, {10, &alive, 1})));
    CHECK(repair(index, rows.view(), alive));
  }
}

TEST_CASE("under new numbers the same rows are found") {
  const Vectors rows = clustered_vectors(Metric::kL2, 900, kDim, 1);
  const RowSet alive = ~every(4, 900);
  std::vector<Slot> numbers(900, kAbsentSlot);
  std::vector<float> kept;
  Slot next = 0;
  for (const Slot slot : alive.to_slots()) {
    numbers[slot] = next++;
    kept.insert(kept.end(), rows.row(slot), rows.row(slot) + kDim);
  }
  const Vectors after(Metric::kL2, kDim, std::move(kept));
  const Vectors queries = clustered_vectors(Metric::kL2, 10, kDim, 2);
  for (const Kind& kind : kinds()) {
    Ivf index(kind.params(kDim, Metric::kL2, 9));
    extend(index, rows.first(800));
    const auto moved = index.renumbered(numbers, next);
    moved->check("index");
    CHECK(moved->state()->covered == 600);
    CHECK(moved->state()->rows == 600);
    extend(*moved, after.view());
    CHECK((search_ivf(*moved, after.view(), queries, {}, reading_all()) == scan_all(after.view(), queries, {})));
    CHECK(index.state()->rows == 800);
  }
  Ivf index(kinds()[0].params(kDim, Metric::kL2, 9));
  extend(index, rows.first(800));
  CHECK_THROWS_AS(index.renumbered(std::span(numbers).first(799), next), InvalidArgument);
  CHECK_THROWS_AS(index.renumbered(numbers, 10), InvalidArgument);
}

TEST_CASE("a cancelled extend leaves the index as it was") {
  const Vectors rows = clustered_vectors(Metric::kL2, 20'000, kDim, 1);
  Ivf index(kinds()[0].params(kDim, Metric::kL2, 9));
  CancelToken fired;
  fired.cancel();
  CHECK_THROWS_AS(index.extend(rows.view(), {nullptr, 1, &fired, {}}), Cancelled);
  CHECK(index.state()->covered == 0);
  extend(index, rows.first(10'000));
  const auto before = index.state();
  CancelToken later;
  std::size_t reports = 0;
  const auto cancel = [&](std::size_t, std::size_t total) {
    CHECK(total == 10'000);
    if (++reports == 1) later.cancel();
  };
  CHECK_THROWS_AS(index.extend(rows.view(), {nullptr, 1, &later, cancel}), Cancelled);
  CHECK(reports == 1);
  CHECK(index.state() == before);
  index.check("index");
}

TEST_CASE("searches go on beside a writer and see a whole state") {
  const Vectors rows = clustered_vectors(Metric::kL2, 4000, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kL2, 4, kDim, 2);
  Ivf index(kinds()[5].params(kDim, Metric::kL2, 20));
  extend(index, rows.first(1000));
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> wrong{0};
  std::thread reader([&] {
    while (!stop.load()) {
      const Answer found = search_ivf(index, rows.view(), queries, {}, {kMaxSlots, kAllRows, 1000});
      if (!(found == scan_all(rows.first(1000), queries, {}))) ++wrong;
    }
  });
  for (std::size_t n = 1500; n <= 4000; n += 500) {
    extend(index, rows.first(n), 2);
    const RowSet alive = RowSet::all(n) - RowSet::from_range(1200, 1300, n);
    repair(index, rows.first(n), alive);
  }
  stop = true;
  reader.join();
  CHECK(wrong == 0);
  index.check("index");
  CHECK(index.state()->rows <= 3900);
}

}  // namespace
}  // namespace vdb
