// Makes the block of a node: the signs of its neighbours' rotated residuals to it, and the factors that turn a product
// of signs and query into a distance (Gou, Gao, Xu and Long, SIGMOD 2025, with the estimator of Gao and Long, SIGMOD
// 2024).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/residual.h"
#include "core/rotation.h"
#include "core/vectors.h"
#include "index/graph/packed_layout.h"

namespace vdb {

// A row of the view in rotated space, of length one under cosine; a zero row stays zero there.
void rotate_row(const VectorView& view, Slot slot, const Rotation& rotation, float* out) noexcept;

// Not thread-safe: it keeps the memory of one encoding.
class PackedEncoder {
 public:
  // `centre` is a rotated row that queries are bound relative to.
  PackedEncoder(const VectorView& view, const Rotation& rotation, std::span<const float> centre,
                const PackedLayout& layout);

  // Writes the whole block of `node`; at most layout.groups * 32 neighbours.
  void encode(Slot node, std::span<const Slot> neighbors, std::uint8_t* block);

 private:
  ResidualFactors encode_neighbor(Slot neighbor, std::uint8_t* codes);

  const VectorView& view_;
  const Rotation& rotation_;
  std::span<const float> centre_;
  PackedLayout layout_;
  std::vector<float> node_;      // rotated
  std::vector<float> centred_;   // the node less the centre
  std::vector<float> residual_;  // of the neighbour at hand
};

}  // namespace vdb
