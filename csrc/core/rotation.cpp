#include "core/rotation.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/check.h"
#include "base/rng.h"
#include "core/dimensions.h"

namespace vdb {

Rotation::Rotation(std::size_t dim, std::uint64_t seed, const RotationKernels& kernels)
    : dim_(dim),
      padded_dim_((dim + kGranularity - 1) / kGranularity * kGranularity),
      block_(std::bit_floor(padded_dim_)),
      seed_(seed),
      kernels_(kernels) {
  VDB_CHECK(dim >= 1 && dim <= kMaxDim,
            "a rotation is of 1 to " + std::to_string(kMaxDim) + " dimensions, got " + std::to_string(dim));
  signs_.resize(kRounds * (padded_dim_ / kGranularity));
  for (std::size_t i = 0; i < signs_.size(); ++i) signs_[i] = splitmix64(seed ^ splitmix64(i));
}

float* Rotation::block(float* row, std::size_t round) const noexcept {
  return round % 2 == 0 ? row : row + (padded_dim_ - block_);
}

// Both ends are transformed before the halves are mixed. A mix in between would carry a coordinate that the last
// transform left out to one that the next leaves out, and some axes of 768 or 1,536 dimensions would stay peaked.
bool Rotation::mixes_after(std::size_t round) const noexcept { return round % 2 == 1 && block_ != padded_dim_; }

const std::uint64_t* Rotation::signs(std::size_t round) const noexcept {
  return signs_.data() + round * (padded_dim_ / kGranularity);
}

void Rotation::apply(const float* in, float* out) const noexcept {
  if (in != out) std::copy_n(in, dim_, out);
  std::fill(out + dim_, out + padded_dim_, 0.0F);
  for (std::size_t round = 0; round < kRounds; ++round) {
    kernels_.flip_signs(out, signs(round), padded_dim_);
    kernels_.hadamard(block(out, round), block_);
    if (mixes_after(round)) kernels_.mix(out, padded_dim_);
  }
}

void Rotation::inverse(const float* in, float* out) const {
  std::vector<float> row(in, in + padded_dim_);
  for (std::size_t round = kRounds; round-- > 0;) {  // every step is its own inverse
    if (mixes_after(round)) kernels_.mix(row.data(), padded_dim_);
    kernels_.hadamard(block(row.data(), round), block_);
    kernels_.flip_signs(row.data(), signs(round), padded_dim_);
  }
  std::copy_n(row.data(), dim_, out);
}

}  // namespace vdb
