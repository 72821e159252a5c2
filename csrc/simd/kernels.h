// The kernel tables: plain function pointers, one table per family and level. A search copies the pointers it needs
// when it binds a query and never asks again which CPU it is on.
#pragma once

#include <cstddef>

#include "simd/isa.h"

namespace vdb {

// Any dim >= 1, any alignment. Within one level the pair, x4 and block forms add the same values in the same order, so
// equal vectors get bit-equal distances whichever form computes them.
struct DistanceKernelsF32 {
  using Pair = float (*)(const float* a, const float* b, std::size_t dim) noexcept;
  // Four rows anywhere against one query: the gathered form of graph search.
  using PairX4 = void (*)(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept;
  // n consecutive rows against one query: the form of a scan.
  using Block = void (*)(const float* query, const float* rows, std::size_t n, std::size_t dim, float* out) noexcept;

  Pair l2_squared;
  PairX4 l2_squared_x4;
  Block l2_squared_block;
  Pair inner_product;
  PairX4 inner_product_x4;
  Block inner_product_block;
};

struct Kernels {
  DistanceKernelsF32 distance_f32;
};

// The table of the active level.
const Kernels& kernels();

// The table of one level, for tests and benches. InvalidArgument where this machine cannot run it.
const Kernels& kernels_for(Isa isa);

}  // namespace vdb
