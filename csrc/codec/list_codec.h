// What the codecs of an inverted file share: rows as codes of their residuals to a centroid, 32 of them to a block.
// A codec has code_bytes(), even, interleaved(),
// extra_bytes(), an Encoder and a Query.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "codec/residual.h"

namespace vdb {

// Where an encoder writes a row.
struct ListRecord {
  std::uint8_t* code;        // code_bytes()
  ResidualFactors* factors;  // of a row of which nothing is known, those of unknown_row()
  std::uint8_t* extra;       // extra_bytes(): what is read of rows that the code leaves among the nearest
};

// Factors are kept as bfloat16: what that loses is a hundredth of what codes lose.
constexpr float kGreatestFactor = 0x1.fep127F;

// Nearer than any other, so that it is always measured.
inline ResidualFactors unknown_row() noexcept { return {-kGreatestFactor, 0}; }

// Whether both can be kept.
inline bool can_keep(const ResidualFactors& factors) noexcept {
  return std::abs(factors.add) <= kGreatestFactor && std::abs(factors.multiply) <= kGreatestFactor;
}

// A query and the centroid of a list.
struct ListTerms {
  float distance;  // in search order
  float reach;     // their l2 distance: an estimate is off in proportion to it
};

// Of a block of 32 rows: its codes, and 32 addends, then 32 multipliers, in bfloat16.
struct ListBlock {
  const std::uint8_t* codes;
  const std::uint16_t* factors;
};

}  // namespace vdb
