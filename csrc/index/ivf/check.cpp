#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "index/ivf/ivf.h"

namespace vdb {
namespace {

// A file says at no cost that it covers two billion slots: a bit for each only where that is no more than a list takes.
constexpr std::size_t kBitsPerListed = 8 * sizeof(Slot);

class ListRules {
 public:
  ListRules(const std::string& path, const IvfState& state) : path_(path), state_(state) {
    std::size_t rows = 0;
    for (const auto& list : state.lists) rows += list->rows;
    if (state.covered / kBitsPerListed <= rows) seen_.resize(state.covered);
  }

  void check(std::size_t i) {
    const List& list = *state_.lists[i];
    const ListShape& shape = state_.model->shape;
    const std::size_t blocks = ListShape::blocks(list.rows);
    require(list.blocks.size() >= blocks * shape.block_bytes(), i, "room for its rows", list.blocks.size());
    require(list.extra.size() >= blocks * shape.extra_block_bytes(), i, "room for its rows", list.extra.size());
    require(list.slots.size() >= blocks * ListShape::kRows, i, "room for its rows", list.slots.size());
    for (std::size_t row = 0; row < blocks * ListShape::kRows; ++row) {
      const ListBlock block = list.codes(shape, row / ListShape::kRows);
      const Slot slot = list.slots[row];
      const float add = from_bfloat16(block.factors[row % ListShape::kRows]);
      const float multiply = from_bfloat16(block.factors[ListShape::kRows + row % ListShape::kRows]);
      if (row >= list.rows) {
        const bool empty = slot == kAbsentSlot && add == std::numeric_limits<float>::infinity();
        require(empty, i, "nothing behind its last row", slot);
        continue;
      }
      require(slot < state_.covered && is_first(slot), i, kOnce, slot);
      require(std::isfinite(add) && std::isfinite(multiply) && multiply <= 0, i, "finite factors", slot);
    }
    rows_ += list.rows;
  }

  // After the last list.
  void check_listed() {
    std::sort(listed_.begin(), listed_.end());
    const auto twice = std::adjacent_find(listed_.begin(), listed_.end());
    if (twice != listed_.end()) require(false, 0, kOnce, *twice);
  }

  std::size_t rows() const noexcept { return rows_; }

 private:
  void require(bool holds, std::size_t list, const char* expected, std::uint64_t found) const {
    if (!holds) throw Corrupted({path_, "blocks", list, expected, std::to_string(found)});
  }

  static constexpr const char* kOnce = "covered slots, each in one list";

  // Whether a slot was not seen before; of a few among many that is found out in the end.
  bool is_first(Slot slot) {
    if (seen_.empty()) {
      listed_.push_back(slot);
      return true;
    }
    const bool first = !seen_[slot];
    seen_[slot] = true;
    return first;
  }

  const std::string& path_;
  const IvfState& state_;
  std::vector<bool> seen_;  // (covered,), or none
  std::vector<Slot> listed_;
  std::size_t rows_ = 0;
};

}  // namespace

void Ivf::check(const std::string& path) const {
  const auto now = state();
  if (!now->model) return;
  const std::size_t lists = now->directory->size();
  if (lists != now->lists.size()) {
    throw Corrupted({path, "lists", 0, std::to_string(lists) + " lists", std::to_string(now->lists.size())});
  }
  ListRules rules(path, *now);
  for (std::size_t i = 0; i < lists; ++i) rules.check(i);
  rules.check_listed();
  if (rules.rows() != now->rows) {
    throw Corrupted({path, "params", 0, std::to_string(rules.rows()) + " rows", std::to_string(now->rows)});
  }
}

}  // namespace vdb
