// What is learned from, by codecs and by clusterings alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/slot.h"
#include "core/vectors.h"

namespace vdb {

// (n, dim): at most `most` of `slots`, chosen by the seed, as codecs see them; without those of which they say nothing.
std::vector<float> training_rows(const VectorView& view, std::span<const Slot> slots, std::size_t most,
                                 std::uint64_t seed);

}  // namespace vdb
