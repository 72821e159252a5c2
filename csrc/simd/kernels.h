// The kernel tables: plain function pointers, one table per family and level. A search copies the pointers it needs
// when it binds a query and never asks again which CPU it is on.
//
// Everything here is noexcept, allocates nothing, and takes any alignment.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"
#include "simd/code_kernels.h"
#include "simd/isa.h"

namespace vdb {

// Distances between vectors of one dtype, any dim >= 1. Within one level all forms add the same values in the same
// order, so equal vectors get bit-equal distances whichever form computes them.
struct DistanceKernels {
  using Pair = float (*)(const void* a, const void* b, std::size_t dim) noexcept;
  // Four rows anywhere against one query: the gathered form of graph search.
  using PairX4 = void (*)(const void* query, const void* const* rows, std::size_t dim, float* out) noexcept;
  // n consecutive rows against one query: the form of a scan.
  using Block = void (*)(const void* query, const void* rows, std::size_t n, std::size_t dim, float* out) noexcept;
  // Consecutive vectors.
  struct Run {
    const void* data;
    std::size_t n;
  };
  // Rows against queries into out (queries.n, rows.n): the form of a batch. Rows are read from memory once for all
  // queries.
  using Tile = void (*)(const Run& queries, const Run& rows, std::size_t dim, float* out) noexcept;
  struct Forms {
    Pair pair;
    PairX4 x4;
    Block block;
    Tile tile;
  };

  Forms l2_squared;
  Forms inner_product;
};

// Bitmaps of 64-bit words. The binary operations write out[i] = a[i] op b[i] and return the number of bits set in out;
// out may be a or b.
struct BitsetKernels {
  using Count = std::size_t (*)(const std::uint64_t* words, std::size_t n) noexcept;
  using Binary = std::size_t (*)(const std::uint64_t* a, const std::uint64_t* b, std::size_t n,
                                 std::uint64_t* out) noexcept;
  // Writes `first` + the position of every set bit, ascending, and returns how many. `out` has room for kListSlack
  // values more than there are bits, which may be written to.
  using List = std::size_t (*)(const std::uint64_t* words, std::size_t n, std::uint32_t first,
                               std::uint32_t* out) noexcept;
  static constexpr std::size_t kListSlack = 16;
  // A bit for each of so many values that is below the limit and set.
  using LookUp = std::uint32_t (*)(const std::uint64_t* words, const std::uint32_t* values,
                                   std::uint32_t limit) noexcept;
  static constexpr std::size_t kLookedUp = 32;

  Count count;
  Binary bit_and;
  Binary bit_or;
  Binary bit_andnot;  // a & ~b
  List list;
  LookUp look_up;
};

// The steps of a fast random rotation (core/rotation.h).
struct RotationKernels {
  // Negates x[i] where bit i of `signs` is set.
  using FlipSigns = void (*)(float* x, const std::uint64_t* signs, std::size_t n) noexcept;
  // Walsh-Hadamard transform in place, scaled to keep lengths; n is a power of two.
  using Hadamard = void (*)(float* x, std::size_t n) noexcept;
  // (a, b) becomes ((a + b) / sqrt 2, (a - b) / sqrt 2) for the two halves of x; n is even.
  using Mix = void (*)(float* x, std::size_t n) noexcept;

  FlipSigns flip_signs;
  Hadamard hadamard;
  Mix mix;
};

// Product quantisation: distances of a query's pieces to the centroids of each sub-quantiser, and sums of m of them.
struct PqKernels {
  // A short vector against n centroids stored by dimension: `columns` is (dim, n), n a multiple of kColumns. Fill up
  // with copies of the first centroid: of equals the first is nearest.
  static constexpr std::size_t kColumns = 16;
  struct Columns {
    const float* data;
    std::size_t n;
    std::size_t dim;
  };
  using ColumnDistances = void (*)(const float* query, const Columns& columns, float* out) noexcept;
  // The position of the nearest and its squared distance; (0, +inf) where none is nearer than infinity.
  using Nearest = std::uint32_t (*)(const float* query, const Columns& columns, float* distance) noexcept;
  // 8-bit codes, a byte per sub-quantiser; table is (m, 256). All forms of a level add in the same order.
  using Lookup8 = float (*)(const float* table, const std::uint8_t* code, std::size_t m) noexcept;
  using Lookup8X4 = void (*)(const float* table, const std::uint8_t* const* codes, std::size_t m, float* out) noexcept;
  using Lookup8Block = void (*)(const float* table, const CodeRows& codes, std::size_t m, float* out) noexcept;
  // 4-bit codes in blocks of 32 rows (Andre, Kermarrec and Le Scouarnec 2015): byte (j, i) of a block, j in m / 2, i in
  // 32, holds sub-quantisers 2j (low nibble) and 2j + 1 (high) of row i. `table` is (m, 16) bytes, m even; out is
  // (n_blocks, 32), sums of bytes modulo 65,536: exact for m <= 256, and beyond for a table whose rows' greatest bytes
  // add up to less.
  using Scan4 = void (*)(const std::uint8_t* table, const std::uint8_t* blocks, std::size_t n_blocks, std::size_t m,
                         std::uint16_t* out) noexcept;

  ColumnDistances l2_squared;
  ColumnDistances inner_product;
  Nearest nearest;
  Lookup8 lookup8;
  Lookup8X4 lookup8_x4;
  Lookup8Block lookup8_block;
  Scan4 scan4;
};

// The neighbours of one graph node, packed in groups of 32 with the 1-bit codes of their residuals to the node
// (index/graph/packed_codes.h): four signs make a 4-bit code, and groups have the layout of PqKernels::Scan4.
struct PackedScanKernels {
  static constexpr std::size_t kRows = 32;
  static constexpr std::size_t kEntries = 16;
  static constexpr std::uint8_t kMaxEntry = 60;  // of a table, so that four entries add up in a byte
  // A bound query: the product of a row's signs with the query is scale * sum of its entries + base.
  struct Query {
    const std::uint8_t* table;  // (m, 16), entries up to kMaxEntry; the greatest of each row add up to 65,535 at most
    std::size_t m;              // a multiple of 4
    float scale;
    float base;
  };
  struct Bounds {
    float distance;   // of the node
    float threshold;  // of interest are rows below it
  };
  // `factors` are 32 addends, then 32 multipliers. Writes out[i] = distance + (addend[i] + multiplier[i] * product[i])
  // and returns a bit for each row below the threshold; a NaN is not.
  using Estimate = std::uint32_t (*)(const Query& query, const std::uint8_t* codes, const float* factors,
                                     const Bounds& bounds, float* out) noexcept;
  // The same of factors in bfloat16.
  using EstimateBf16 = std::uint32_t (*)(const Query& query, const std::uint8_t* codes, const std::uint16_t* factors,
                                         const Bounds& bounds, float* out) noexcept;

  Estimate estimate;
  EstimateBf16 estimate_bf16;
};

struct Kernels {
  DistanceKernels distance_f32;
  DistanceKernels distance_f16;
  DistanceKernels distance_bf16;
  DistanceKernels distance_i8;
  CodeKernels code;
  BitCodeKernels bit_code;
  BitsetKernels bitset;
  RotationKernels rotation;
  PqKernels pq;
  PackedScanKernels packed_scan;

  const DistanceKernels& distance(Dtype dtype) const noexcept {
    switch (dtype) {
      case Dtype::kFloat16: return distance_f16;
      case Dtype::kBfloat16: return distance_bf16;
      case Dtype::kInt8: return distance_i8;
      case Dtype::kFloat32: break;
    }
    return distance_f32;
  }
};

// The table of the active level.
const Kernels& kernels();

// The table of one level, for tests and benches. InvalidArgument where this machine cannot run it.
const Kernels& kernels_for(Isa isa);

}  // namespace vdb
