// The kernels of codes, part of the contract of simd/kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vdb {

// Where codes lie: record i begins at data + i * stride. A record may be in two pieces; the second then begins `plane`
// bytes behind the first.
struct CodeRows {
  const std::uint8_t* data;
  std::size_t n;
  std::size_t stride;
  std::size_t plane = 0;  // 0: records are whole
};

// Products of packed unsigned codes with an int8 query, exact in int32. `dim` is a multiple of 64, at most 65,536; the
// tail of a shorter vector is zero in both. Each 64 dimensions of a code of b bits take 8 * b bytes, packed so that a
// register unpacks by shifts alone:
//   u8  byte i is dimension i
//   u4  byte i of 32: low nibble dimension i, high nibble dimension 32 + i
//   u2  byte i of 16: bits 2f and 2f + 1 are dimension 16 f + i, f from 0 to 3
//   u1  bit i of a little-endian 64-bit word is dimension i
struct CodeKernels {
  using Pair = std::int32_t (*)(const std::uint8_t* code, const std::int8_t* query, std::size_t dim) noexcept;
  using PairX4 = void (*)(const std::uint8_t* const* codes, const std::int8_t* query, std::size_t dim,
                          std::int32_t* out) noexcept;
  using Block = void (*)(const CodeRows& codes, const std::int8_t* query, std::size_t dim, std::int32_t* out) noexcept;
  // Query q begins at queries + q * dim; out is (nq, codes.n).
  using Tile = void (*)(const CodeRows& codes, const std::int8_t* queries, std::size_t nq, std::size_t dim,
                        std::int32_t* out) noexcept;
  struct Forms {
    Pair pair;
    PairX4 x4;
    Block block;
    Tile tile;
  };

  // A code of 2 to 8 bits in parts: its highest bit first, then what is left in one part each of 4, 2 and 1 bits, of
  // those that it takes. Part p of a code begins at record + offset; a value is the sum of part << shift.
  struct Part {
    unsigned bits;
    unsigned shift;
    std::size_t offset;
  };
  struct Parts {
    const Part* data;
    std::size_t n;
  };
  // Eight records anywhere: the gathered form of graph search, one sum for all parts.
  static constexpr std::size_t kGathered = 8;
  using PartsX8 = void (*)(const std::uint8_t* const* records, const Parts& parts, const std::int8_t* query,
                           std::size_t dim, std::int32_t* out) noexcept;

  Forms u8;
  Forms u4;
  Forms u2;
  Forms u1;
  PartsX8 parts_x8;
};

// Products of 1-bit codes with a query cut into bit planes: sum over j of 2^j * popcount(code & plane j), the form in
// which a 1-bit code costs a few instructions for 512 dimensions. `words` is dim / 64; plane j begins at
// planes + j * words; 1 <= bits <= 8.
struct BitCodeKernels {
  struct Query {
    const std::uint64_t* planes;
    std::size_t bits;
    std::size_t words;
  };
  using Pair = std::uint32_t (*)(const std::uint8_t* code, const Query& query) noexcept;
  using PairX4 = void (*)(const std::uint8_t* const* codes, const Query& query, std::uint32_t* out) noexcept;
  using Block = void (*)(const CodeRows& codes, const Query& query, std::uint32_t* out) noexcept;

  // What stands behind the signs of a record whose distance is an affine function of their product.
  struct Factors {
    float add;
    float rescale;
    float error;  // not read
    std::uint16_t ones;
    std::uint16_t centroid;
  };
  // The distance is (add + centroid_adds[centroid & centroid_mask]) + rescale * (scale * product + offset * ones +
  // base).
  struct DistanceQuery {
    static constexpr std::size_t kRoom = 16;  // centroid_adds has at least this many, so that a register holds them

    Query planes;
    const float* centroid_adds;
    std::uint32_t centroid_mask;
    float scale;
    float offset;
    float base;
  };
  // Records anywhere: the form of graph search. out[i] is the distance of record slots[i], the same for equal records
  // wherever they stand in the list; `out` has room up to the next multiple of kGathered, which may be written to.
  static constexpr std::size_t kGathered = 8;
  using Distances = void (*)(const CodeRows& all, const std::uint32_t* slots, std::size_t n, const DistanceQuery& query,
                             float* out) noexcept;
  // Cuts 64 * words values of a byte into planes, the form of Query.
  using Cut = void (*)(const std::uint8_t* values, std::size_t bits, std::size_t words, std::uint64_t* planes) noexcept;

  Pair pair;
  PairX4 x4;
  Block block;
  Distances distances;
  Cut cut;
};

}  // namespace vdb
