// What a code says about a distance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/slot.h"
#include "simd/kernels.h"

namespace vdb {

// The distance in search order (squared l2, negative inner product) lies within `distance` +- `error`: surely where the
// codec is `kBounded`, else with the probability that it states.
struct Estimate {
  float distance;
  float error;
};

// The estimates of the records that `slots` names, four to a call of the bound query.
template <class Query>
void estimate_slots(const Query& query, const CodeRows& all, std::span<const Slot> slots, Estimate* out) noexcept {
  constexpr std::size_t kTogether = 4;
  const auto record = [&](std::size_t i) { return all.data + all.stride * slots[i]; };
  std::size_t i = 0;
  for (; i + kTogether <= slots.size(); i += kTogether) {
    const std::uint8_t* const four[kTogether] = {record(i), record(i + 1), record(i + 2), record(i + 3)};
    query.estimate_x4(four, out + i);
  }
  for (; i < slots.size(); ++i) out[i] = query.estimate(record(i));
}

}  // namespace vdb
