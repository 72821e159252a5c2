#include "codec/query_grid.h"

namespace vdb {
namespace {

// Partial results side by side, so that the compiler can use its registers.
constexpr std::size_t kLanes = 16;

}  // namespace

// The squared loss is summed in units of the step, so that it neither overflows nor vanishes.
QuantisedQuery quantise(std::span<const float> values, const QueryGrid& grid, std::uint8_t* levels) noexcept {
  float lost[kLanes] = {};
  std::int32_t sums[kLanes] = {};
  for (std::size_t i = 0; i < values.size(); i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float exact = (values[i + j] - grid.offset) * grid.inverse;
      // Written so that a NaN, which overflow can make, becomes level 0.
      const float positive = exact > 0 ? exact : 0.0F;
      const float inside = positive < grid.top ? positive : grid.top;
      const auto level = static_cast<std::int32_t>(inside + 0.5F);
      const float left = inside - static_cast<float>(level);
      lost[j] += left * left;
      sums[j] += level;
      levels[i + j] = static_cast<std::uint8_t>(level);
    }
  }
  QuantisedQuery all{0, 0};
  for (std::size_t j = 0; j < kLanes; ++j) {
    all.sum += sums[j];
    all.lost += double{lost[j]};
  }
  all.lost *= grid.step * grid.step;
  return all;
}

}  // namespace vdb
