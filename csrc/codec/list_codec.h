// What the codecs of an inverted file share: rows as codes of their residuals to a centroid, 32 of them to a block.
// A codec has code_bytes(), even, interleaved(),
// extra_bytes(), an Encoder and a Query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "codec/residual.h"

namespace vdb {

// Where an encoder writes a row.
struct ListRecord {
  std::uint8_t* code;        // code_bytes()
  ResidualFactors* factors;  // of a row of which nothing is known, those of unknown_row()
  std::uint8_t* extra;       // extra_bytes(): what is read of rows that the code leaves among the nearest
};

// Nearer than any other, so that it is always measured.
inline ResidualFactors unknown_row() noexcept { return {std::numeric_limits<float>::lowest(), 0}; }

// A query and the centroid of a list.
struct ListTerms {
  float distance;  // in search order
  float reach;     // their l2 distance: an estimate is off in proportion to it
};

// Of a block of 32 rows: its codes, and 32 addends, then 32 multipliers.
struct ListBlock {
  const std::uint8_t* codes;
  const float* factors;
};

}  // namespace vdb
