#include "index/range/order.h"

#include <algorithm>
#include <iterator>
#include <limits>

namespace vdb {

std::size_t Order::memory_bytes() const noexcept {
  return main_->capacity() * sizeof(Ranked) + tail_.capacity() * sizeof(Late);
}

std::size_t Order::main_before(const Ranked& row) const noexcept {
  return static_cast<std::size_t>(std::lower_bound(main_->begin(), main_->end(), row) - main_->begin());
}

std::size_t Order::rank_of(const Ranked& row) const noexcept {
  const auto late = std::partition_point(tail_.begin(), tail_.end(), [&](const Late& each) { return each.row < row; });
  return main_before(row) + static_cast<std::size_t>(late - tail_.begin());
}

Ranks Order::ranks_of(std::int64_t low, std::int64_t high) const noexcept {
  if (low > high) return {0, 0};
  // No row has the slot kAbsentSlot, which is the greatest.
  return {rank_of({low, 0}), rank_of({high, kAbsentSlot})};
}

std::size_t Order::tail_before(std::size_t rank) const noexcept {
  std::size_t low = 0;
  std::size_t high = tail_.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (middle + tail_[middle].main_before < rank) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

Ranked Order::at(std::size_t rank) const noexcept {
  const std::size_t late = tail_before(rank);
  if (late < tail_.size() && late + tail_[late].main_before == rank) return tail_[late].row;
  return (*main_)[rank - late];
}

Order Order::with(std::span<const Ranked> rows, const std::int64_t* keys) const {
  const std::size_t most = std::max(kMaxTail, std::min(kTailOfCommits * rows.size(), main_->size() / kTailOfCommits));
  if (tail_.size() + rows.size() > most) return merged(rows, keys);
  Order order;
  order.main_ = main_;
  order.tail_.reserve(tail_.size() + rows.size());
  auto late = tail_.begin();
  for (const Ranked& row : rows) {
    for (; late != tail_.end() && late->row < row; ++late) order.tail_.push_back(*late);
    order.tail_.push_back({row, main_before(row)});
  }
  order.tail_.insert(order.tail_.end(), late, tail_.end());
  return order;
}

Order Order::merged(std::span<const Ranked> rows, const std::int64_t* keys) const {
  std::vector<Ranked> before;
  before.reserve(size());
  for_each({0, size()}, [&](const Ranked& row) {
    if (keys[row.slot] == row.key) before.push_back(row);
    return true;
  });
  std::vector<Ranked> all;
  all.reserve(before.size() + rows.size());
  std::merge(before.begin(), before.end(), rows.begin(), rows.end(), std::back_inserter(all));
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return Order(std::move(all));
}

}  // namespace vdb
