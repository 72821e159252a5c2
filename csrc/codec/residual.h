// A row as a code of its residual to a node: a neighbour in a graph, the centroid of a list. The estimator of Gao and
// Long (SIGMOD 2024), for any code.
//
// For a residual o of the node p, a code x of it and s = |o|^2 / <x, o>, s * <x, y> estimates <o, y> for any y: what of
// o the code misses stands at a right angle to o, and so nearly to those y that matter. With y = q - p the error
// shrinks as the query nears the node, and s * <x, p> depends on row and node alone, so that one product with the
// query, taken relative to a centre that all nodes share, serves all nodes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vdb {

struct ResidualSums {
  double norm_squared;  // |o|^2
  double code;          // <x, o>
  double centred;       // <x, p - centre>
  double node;          // <o, p>
};

// The distance of the row is that of the node + add + multiply * <x, q - centre>. multiply is not positive.
struct ResidualFactors {
  float add;
  float multiply;
};

// Squared l2, or negative inner product. A value that is not finite where float32 overflows.
ResidualFactors residual_factors(const ResidualSums& sums, bool l2) noexcept;

// Of the signs of n values as a code of +-1; n is a multiple of 16. `centred` is the node less the centre.
ResidualSums sign_sums(const float* residual, const float* centred, const float* node, std::size_t n) noexcept;

// Byte b, at codes[b * stride], gets the signs of values 8b to 8b + 7, set where one is not negative.
void encode_signs(const float* residual, std::size_t n, std::size_t stride, std::uint8_t* codes) noexcept;

}  // namespace vdb
