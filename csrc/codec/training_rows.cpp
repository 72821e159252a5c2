#include "codec/training_rows.h"

#include <algorithm>
#include <cmath>

#include "codec/code_store.h"
#include "core/sample.h"

namespace vdb {

std::vector<float> training_rows(const VectorView& view, std::span<const Slot> slots, std::size_t most,
                                 std::uint64_t seed) {
  const std::vector<std::size_t> chosen = sample_rows(slots.size(), most, seed);
  std::vector<float> rows(chosen.size() * view.dim);
  if (chosen.empty()) return rows;
  const VectorView pass = for_pass(view, chosen.size(), slots[chosen.back()] - slots[chosen.front()]);
  std::size_t n = 0;
  for (const std::size_t i : chosen) {
    float* const row = rows.data() + n * view.dim;
    to_code_space(pass, slots[i], code_scale(pass, slots[i]), row);
    if (std::all_of(row, row + view.dim, [](float value) { return std::isfinite(value); })) ++n;
  }
  rows.resize(n * view.dim);
  return rows;
}

}  // namespace vdb
