#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "index/ivf/ivf.h"

namespace vdb {
namespace {

class ListRules {
 public:
  ListRules(const std::string& path, const IvfState& state) : path_(path), state_(state), seen_(state.covered) {}

  void check(std::size_t i) {
    const List& list = *state_.lists[i];
    const ListShape& shape = state_.model->shape;
    const std::size_t blocks = ListShape::blocks(list.rows);
    require(list.blocks.size() >= blocks * shape.block_bytes(), i, "room for its rows", list.blocks.size());
    require(list.extra.size() >= blocks * shape.extra_block_bytes(), i, "room for its rows", list.extra.size());
    for (std::size_t row = 0; row < blocks * ListShape::kRows; ++row) {
      const ListBlock block = list.codes(shape, row / ListShape::kRows);
      const Slot slot = list.slot(shape, row);
      const float add = block.factors[row % ListShape::kRows];
      const float multiply = block.factors[ListShape::kRows + row % ListShape::kRows];
      if (row >= list.rows) {
        const bool empty = slot == kAbsentSlot && add == std::numeric_limits<float>::infinity();
        require(empty, i, "nothing behind its last row", slot);
        continue;
      }
      require(slot < state_.covered && !seen_[slot], i, "covered slots, each in one list", slot);
      require(std::isfinite(add) && std::isfinite(multiply) && multiply <= 0, i, "finite factors", slot);
      seen_[slot] = true;
    }
    rows_ += list.rows;
  }

  std::size_t rows() const noexcept { return rows_; }

 private:
  void require(bool holds, std::size_t list, const char* expected, std::uint64_t found) const {
    if (!holds) throw Corrupted({path_, "blocks", list, expected, std::to_string(found)});
  }

  const std::string& path_;
  const IvfState& state_;
  std::vector<bool> seen_;
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
  if (rules.rows() != now->rows) {
    throw Corrupted({path, "params", 0, std::to_string(rules.rows()) + " rows", std::to_string(now->rows)});
  }
}

}  // namespace vdb
