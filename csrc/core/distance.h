// A query bound to a matrix: one functor per metric, copied by value into a search loop, kernel pointers included.
// Distances are those the search orders by; reported() turns one into what the user sees.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "base/prefetch.h"
#include "core/vectors.h"
#include "simd/kernels.h"

namespace vdb {

// Overflowing inputs can make inf - inf; a NaN would break every ordering, so it counts as infinitely far.
inline float ordered(float distance) noexcept {
  return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

// Lines of a row to ask for ahead: enough to start the hardware's own prefetch. Asking for all of them fills the miss
// buffers of the core, and the walk stalls (bench/micro/gather.py).
inline constexpr std::size_t kPrefetchLines = 2;

class BoundQuery {
 public:
  BoundQuery(const VectorView& view, const float* query) noexcept : view_(view), query_(query) {}

  const float* row(Slot slot) const noexcept { return view_.row(slot); }
  void prefetch_row(Slot slot) const noexcept { prefetch_lines(view_.row(slot), kPrefetchLines); }

 protected:
  VectorView view_;
  const float* query_;
};

class L2Distance : public BoundQuery {
 public:
  L2Distance(const VectorView& view, const float* query) noexcept
      : BoundQuery(view, query), pair_(kernels().distance_f32.l2_squared), x4_(kernels().distance_f32.l2_squared_x4) {}
  L2Distance(const VectorView& view, Slot slot) noexcept : L2Distance(view, view.row(slot)) {}

  float operator()(Slot slot) const noexcept { return ordered(pair_(query_, row(slot), view_.dim)); }

  void x4(const Slot* slots, float* out) const noexcept {
    const float* const rows[4] = {row(slots[0]), row(slots[1]), row(slots[2]), row(slots[3])};
    x4_(query_, rows, view_.dim, out);
    for (std::size_t i = 0; i < 4; ++i) out[i] = ordered(out[i]);
  }

  static float reported(float distance) noexcept { return std::sqrt(distance); }

 private:
  DistanceKernelsF32::Pair pair_;
  DistanceKernelsF32::PairX4 x4_;
};

class InnerProductDistance : public BoundQuery {
 public:
  InnerProductDistance(const VectorView& view, const float* query) noexcept
      : BoundQuery(view, query),
        pair_(kernels().distance_f32.inner_product),
        x4_(kernels().distance_f32.inner_product_x4) {}
  InnerProductDistance(const VectorView& view, Slot slot) noexcept : InnerProductDistance(view, view.row(slot)) {}

  float operator()(Slot slot) const noexcept { return ordered(-pair_(query_, row(slot), view_.dim)); }

  void x4(const Slot* slots, float* out) const noexcept {
    products(slots, out);
    for (std::size_t i = 0; i < 4; ++i) out[i] = ordered(-out[i]);
  }

  static float reported(float distance) noexcept { return distance; }

 protected:
  float product(Slot slot) const noexcept { return pair_(query_, row(slot), view_.dim); }
  void products(const Slot* slots, float* out) const noexcept {
    const float* const rows[4] = {row(slots[0]), row(slots[1]), row(slots[2]), row(slots[3])};
    x4_(query_, rows, view_.dim, out);
  }

 private:
  DistanceKernelsF32::Pair pair_;
  DistanceKernelsF32::PairX4 x4_;
};

// 1 - cosine similarity. A zero row has an infinite inverse norm and so, through NaN, an infinite distance.
class CosineDistance : public InnerProductDistance {
 public:
  CosineDistance(const VectorView& view, const float* query) noexcept
      : InnerProductDistance(view, query), query_inverse_norm_(inverse_norm(query, view.dim)) {}
  // A stored row as the query: its norm is known.
  CosineDistance(const VectorView& view, Slot slot) noexcept
      : InnerProductDistance(view, slot), query_inverse_norm_(view.inverse_norms[slot]) {}

  float operator()(Slot slot) const noexcept { return finish(slot, product(slot)); }

  void x4(const Slot* slots, float* out) const noexcept {
    products(slots, out);
    for (std::size_t i = 0; i < 4; ++i) out[i] = finish(slots[i], out[i]);
  }

 private:
  float finish(Slot slot, float inner_product) const noexcept {
    const float distance = 1.0F - inner_product * query_inverse_norm_ * view_.inverse_norms[slot];
    // An overflowed product has lost the angle: such a row is infinitely far, not infinitely near.
    return std::isfinite(distance) ? distance : std::numeric_limits<float>::infinity();
  }

  float query_inverse_norm_;
};

// Calls visitor with the distance functor of the view's metric bound to `query`.
template <class Visitor>
decltype(auto) with_distance(const VectorView& view, const float* query, Visitor&& visitor) {
  switch (view.metric) {
    case Metric::kL2: return visitor(L2Distance(view, query));
    case Metric::kCosine: return visitor(CosineDistance(view, query));
    case Metric::kInnerProduct: break;
  }
  return visitor(InnerProductDistance(view, query));
}

// Calls visit(slot, distance) for each of `slots` in order, four rows at a time so that their cache misses overlap.
template <class Distance, class Visit>
void for_each_distance(const Distance& distance, std::span<const Slot> slots, Visit&& visit) {
  constexpr std::size_t kWidth = 4;
  const std::size_t n = slots.size();
  for (std::size_t i = 0; i < std::min(n, kWidth); ++i) distance.prefetch_row(slots[i]);
  for (std::size_t i = 0; i < n; i += kWidth) {
    for (std::size_t j = i + kWidth; j < std::min(n, i + 2 * kWidth); ++j) distance.prefetch_row(slots[j]);
    std::array<Slot, kWidth> four;
    for (std::size_t j = 0; j < kWidth; ++j) four[j] = slots[std::min(i + j, n - 1)];
    std::array<float, kWidth> distances;
    distance.x4(four.data(), distances.data());
    for (std::size_t j = 0; j < std::min(kWidth, n - i); ++j) visit(four[j], distances[j]);
  }
}

}  // namespace vdb
