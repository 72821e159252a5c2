// A seeded random rotation that spreads the energy of a vector evenly over its coordinates, as 1-bit codes need: four
// rounds of random signs and a fast Walsh-Hadamard transform (Ailon and Chazelle 2009; the rounds for lengths that are
// no power of two follow the RaBitQ library of Gao and Long, but mix the halves after every second round only).
// O(dim log dim) where a random matrix takes O(dim^2).
//
// The same (dim, seed) gives bit-equal results on every machine and kernel level. Safe to use from many threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "simd/kernels.h"

namespace vdb {

class Rotation {
 public:
  // Rows are padded with zeros to a multiple of this: whole words of a 1-bit code.
  static constexpr std::size_t kGranularity = 64;

  // InvalidArgument where dim is not within [1, kMaxDim] (core/dimensions.h).
  Rotation(std::size_t dim, std::uint64_t seed) : Rotation(dim, seed, kernels().rotation) {}
  // With the kernels of one level, for tests and benches.
  Rotation(std::size_t dim, std::uint64_t seed, const RotationKernels& kernels);

  std::size_t dim() const noexcept { return dim_; }
  std::size_t padded_dim() const noexcept { return padded_dim_; }
  std::uint64_t seed() const noexcept { return seed_; }
  std::size_t memory_bytes() const noexcept { return signs_.size() * sizeof(std::uint64_t); }

  // in (dim,) to out (padded_dim,), which may begin where `in` does. Lengths and inner products are kept up to
  // rounding.
  void apply(const float* in, float* out) const noexcept;
  // in (padded_dim,) to out (dim,): undoes apply() up to rounding. Allocates a row; `out` may be `in`.
  void inverse(const float* in, float* out) const;

 private:
  static constexpr std::size_t kRounds = 4;

  // Rounds transform the first and the last block_ coordinates in turn.
  float* block(float* row, std::size_t round) const noexcept;
  bool mixes_after(std::size_t round) const noexcept;
  const std::uint64_t* signs(std::size_t round) const noexcept;

  std::size_t dim_;
  std::size_t padded_dim_;
  std::size_t block_;  // the largest power of two up to padded_dim_
  std::uint64_t seed_;
  std::vector<std::uint64_t> signs_;  // (kRounds, padded_dim / 64) words
  RotationKernels kernels_;
};

}  // namespace vdb
