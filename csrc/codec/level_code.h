// The code of more than one bit a dimension of RaBitQ (Gao et al., SIGMOD 2025): a sign and a level of the magnitude,
// on the grid whose scale keeps the direction best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "simd/kernels.h"

namespace vdb {

// Of a code: its products with the residual and another vector, and its squared length.
struct LevelProducts {
  double residual;
  double other;
  double norm_squared;
};

struct LevelInput {
  std::span<const float> residual;  // a multiple of 16 values, not all 0, finite
  const float* other;               // as many
};

// `bits` is 2 to 8, of which the sign is one. Writes the bits behind the sign: with the sign as the highest bit, value
// v stands for v - (2^bits - 1) / 2.
LevelProducts encode_levels(const LevelInput& input, std::size_t bits, std::uint8_t* values);

// Packs the bits of `part` of values (a multiple of 64), as the kernels read them (core/code_packing.h).
void pack_part(std::span<const std::uint8_t> values, const CodeKernels::Part& part, std::uint8_t* out);

// The parts a code of `bits` is cut into behind its sign: 4, 2 and 1 bits, those that it takes, one behind the other
// from `offset` on. Returns how many were written, at most 3.
std::size_t level_parts(std::size_t bits, std::size_t padded_dim, std::size_t offset, CodeKernels::Part* parts);

}  // namespace vdb
