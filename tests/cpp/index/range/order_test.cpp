#include <doctest/doctest.h>

#include <algorithm>

#include "index/range/layers.h"
#include "index/range/order.h"
#include "range_cases.h"

namespace vdb {
namespace {

using testing::Keys;
using testing::random_keys;

// Every question an order answers, beside the sorted rows themselves.
void check_order(const Order& order, std::vector<Ranked> rows) {
  std::sort(rows.begin(), rows.end());
  REQUIRE(order.size() == rows.size());
  std::size_t wrong = 0;
  for (std::size_t rank = 0; rank < rows.size(); ++rank) {
    wrong += order.at(rank) == rows[rank] && order.rank_of(rows[rank]) == rank ? 0U : 1U;
  }
  for (std::size_t i = 0; i < rows.size(); i += 1 + rows.size() / 50) {
    const std::int64_t low = rows[i].key;
    const std::int64_t high = low + static_cast<std::int64_t>(i % 7);
    const Ranks ranks = order.ranks_of(low, high);
    const auto below = [&](const Ranked& row) { return row.key < low; };
    const auto through = [&](const Ranked& row) { return row.key <= high; };
    wrong += ranks.begin == static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), below)) ? 0U : 1U;
    wrong += ranks.end == static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), through)) ? 0U : 1U;
    std::vector<Ranked> listed;
    order.for_each(ranks, [&](const Ranked& row) {
      listed.push_back(row);
      return true;
    });
    wrong += std::equal(listed.begin(), listed.end(), rows.begin() + static_cast<std::ptrdiff_t>(ranks.begin),
                        rows.begin() + static_cast<std::ptrdiff_t>(ranks.end))
                 ? 0U
                 : 1U;
  }
  CHECK(wrong == 0);
}

TEST_CASE("an order that grows by commits of any size is the sorted rows") {
  constexpr std::size_t kRows = 12'000;
  for (const std::size_t repeats : {1U, 40U, 12'000U}) {
    const Keys keys = random_keys(kRows, repeats, 3);
    Order order;
    std::vector<Ranked> rows;
    testing::Random random(5);
    while (rows.size() < kRows) {
      const std::size_t largest = rows.size() % 3 == 0 ? 5000 : 30;
      const std::size_t end = std::min(kRows, rows.size() + 1 + random.below(largest));
      std::vector<Ranked> added;
      for (std::size_t slot = rows.size(); slot < end; ++slot) added.push_back({keys[slot], static_cast<Slot>(slot)});
      rows.insert(rows.end(), added.begin(), added.end());
      std::sort(added.begin(), added.end());
      order = order.with(added, keys.data());
      if (rows.size() % 4 == 0) check_order(order, rows);
    }
    check_order(order, rows);
    check_order(order.merged({}, keys.data()), rows);
  }
}

TEST_CASE("a row that moved to another key stands there once when the tail is merged") {
  Keys keys{5, 3, 9, 3};
  const std::vector<Ranked> rows{{3, 1}, {3, 3}, {5, 0}, {9, 2}};
  Order order = Order().with(rows, keys.data());
  for (const std::int64_t key : {7, 1, 7}) {
    keys[0] = key;
    const std::vector<Ranked> moved{{key, 0}};
    order = order.with(moved, keys.data());
  }
  check_order(order.merged({}, keys.data()), {{3, 1}, {3, 3}, {7, 0}, {9, 2}});
  CHECK(order.ranks_of(8, 20).size() == 1);
  CHECK(order.ranks_of(6, 2).size() == 0);
}

TEST_CASE("layers reach from the median to both ends, and a walk begins in one that is wider than its range") {
  for (const std::size_t rows : {1U, 128U, 129U, 512U, 513U, 100'000U}) {
    const std::size_t layers = layers_for(rows);
    CHECK(2 * half_width(layers - 1) >= rows);
    if (layers > 1) CHECK(2 * half_width(layers - 2) < rows);
  }
  CHECK(layers_for(100'000) == 6);
  for (std::size_t layer = 0; layer < 6; ++layer) {
    CHECK(layer_for(half_width(layer) * 4 / 3, 6) == layer);
    CHECK(layer_for(half_width(layer) * 4 / 3 + 1, 6) == std::min<std::size_t>(layer + 1, 5));
  }
  CHECK(layer_for(0, 6) == 0);
  CHECK(layer_for(1'000'000'000, 6) == 5);
}

}  // namespace
}  // namespace vdb
