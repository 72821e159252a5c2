// Other keys for the same order: of the rows of a graph as they stand, the longest sequence that still ascends keeps
// its edges, and only the rest is linked anew. The sequence is found by patience sorting (Schensted, 1961), in as many
// steps as there are rows where all of it ascends.
#include <algorithm>
#include <limits>

#include "index/range/range.h"

namespace vdb {
namespace {

constexpr std::uint32_t kNoPlace = 0xffffffffU;

// Whether each row is in the longest ascending sequence of them.
std::vector<bool> ascending(std::span<const Ranked> rows) {
  std::vector<std::uint32_t> ends;                           // of the sequences of each length, that with the least end
  std::vector<std::uint32_t> before(rows.size(), kNoPlace);  // each row in the longest sequence that it ends
  for (std::uint32_t at = 0; at < rows.size(); ++at) {
    auto end = ends.end();
    if (!ends.empty() && !(rows[ends.back()] < rows[at])) {
      end = std::partition_point(ends.begin(), ends.end(), [&](std::uint32_t place) { return rows[place] < rows[at]; });
    }
    if (end != ends.begin()) before[at] = *(end - 1);
    if (end == ends.end()) {
      ends.push_back(at);
    } else {
      *end = at;
    }
  }
  std::vector<bool> found(rows.size(), false);
  for (std::uint32_t at = ends.empty() ? kNoPlace : ends.back(); at != kNoPlace; at = before[at]) found[at] = true;
  return found;
}

}  // namespace

void RangeGraph::rekey(std::span<const Slot> slots, std::span<const std::int64_t> keys) {
  if (nodes() == 0) return;
  RangeLayers& layers = *layers_;
  const std::size_t known = std::min(linked_.size(), layers.slots());
  std::vector<std::int64_t> key_of(known, 0);
  std::vector<bool> has_key(known, false);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i] >= known) continue;
    key_of[slots[i]] = keys[i];
    has_key[slots[i]] = true;
  }
  const Order before = order_->merged({}, layers.keys.data());
  std::vector<Ranked> rows;  // those that have a key, in the order they had
  before.for_each({0, before.size()}, [&](const Ranked& row) {
    if (linked_[row.slot] != 0 && has_key[row.slot]) rows.push_back({key_of[row.slot], row.slot});
    return true;
  });
  const std::vector<bool> stays = ascending(rows);

  std::vector<Ranked> order;
  std::size_t at = 0;  // of `rows`
  std::int64_t last = std::numeric_limits<std::int64_t>::min();
  before.for_each({0, before.size()}, [&](const Ranked& row) {
    if (linked_[row.slot] == 0) return true;
    if (!has_key[row.slot]) {
      order.push_back({std::max(row.key, last), row.slot});
      return true;
    }
    layers.set_key(row.slot, key_of[row.slot]);
    if (stays[at]) {
      order.push_back(rows[at]);
      last = rows[at].key;
    } else {
      linked_[row.slot] = 0;
      nodes_.fetch_sub(1, std::memory_order_relaxed);
    }
    ++at;
    return true;
  });
  // A row that died is a waypoint: its key lies between those of the rows that it stands between.
  std::int64_t next = std::numeric_limits<std::int64_t>::max();
  for (auto row = order.rbegin(); row != order.rend(); ++row) {
    if (has_key[row->slot]) next = row->key;
    row->key = std::min(row->key, next);
  }
  std::sort(order.begin(), order.end());
  for (const Ranked& row : order) layers.set_key(row.slot, row.key);
  set_order(Order(std::move(order)));
}

}  // namespace vdb
