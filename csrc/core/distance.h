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
#include "core/custom_distance.h"
#include "core/vectors.h"
#include "simd/kernels.h"

namespace vdb {

// Overflowing inputs can make inf - inf; a NaN would break every ordering, so it counts as infinitely far. Only float32
// and bfloat16 have values that large. Subnormal values count as what they are, but in inner products of bfloat16 at
// level avx512_vnni, where they count as zero.
inline float ordered(float distance) noexcept {
  return distance == distance ? distance : std::numeric_limits<float>::infinity();
}

// The arrays of measure() begin on a cache line and go on to a multiple of this, so that a kernel may work on whole
// registers: 16 floats are the widest.
inline constexpr std::size_t kMeasuredTogether = 16;

constexpr std::size_t measured_room(std::size_t slots) noexcept {
  return (slots + kMeasuredTogether - 1) / kMeasuredTogether * kMeasuredTogether;
}

// What the metrics share: the kernels of the view's dtype, and where its rows lie. The query has that dtype too.
// Metric: kernels_of(view), the operation it is made of, and finish(slot, value), which turns what a kernel gives for a
// row into the distance.
//
// A search loop asks of every distance functor, whatever it reads, what is public here but x4() and query().
template <class Metric>
class BoundQuery {
 public:
  // Whether a row is so few cache lines that a loop asks for each as soon as it meets its slot, before it knows whether
  // the row will be read; measure() then asks for none.
  static constexpr bool kShortRows = false;

  float operator()(Slot slot) const noexcept { return metric().finish(slot, pair_(query_, row(slot), dim_)); }

  void x4(const Slot* slots, float* out) const noexcept {
    const void* const rows[4] = {row(slots[0]), row(slots[1]), row(slots[2]), row(slots[3])};
    x4_(query_, rows, dim_, out);
    for (std::size_t i = 0; i < 4; ++i) out[i] = metric().finish(slots[i], out[i]);
  }

  // out[i] is the distance of slots[i]. Both arrays go on to a multiple of kMeasuredTogether, with valid slots behind
  // the last; four rows at a time, so that their cache misses overlap.
  void measure(std::span<const Slot> slots, float* out) const noexcept {
    constexpr std::size_t kWidth = 4;
    const std::size_t n = slots.size();
    for (std::size_t i = 0; i < std::min(n, kWidth); ++i) prefetch_row(slots[i]);
    for (std::size_t i = 0; i < n; i += kWidth) {
      for (std::size_t j = i + kWidth; j < std::min(n, i + 2 * kWidth); ++j) prefetch_row(slots[j]);
      x4(slots.data() + i, out + i);
    }
  }

  void prefetch_row(Slot slot) const noexcept { prefetch_lines(row(slot), lines_); }
  const void* query() const noexcept { return query_; }

 protected:
  BoundQuery(const VectorView& view, const void* query) noexcept
      : pair_(Metric::kernels_of(view).pair),
        x4_(Metric::kernels_of(view).x4),
        data_(view.data),
        row_bytes_(view.row_bytes()),
        lines_(std::min(lines_of(row_bytes_), kPrefetchLines)),
        dim_(view.dim),
        query_(query) {}

 private:
  const Metric& metric() const noexcept { return static_cast<const Metric&>(*this); }
  const void* row(Slot slot) const noexcept { return data_ + std::size_t{slot} * row_bytes_; }

  DistanceKernels::Pair pair_;
  DistanceKernels::PairX4 x4_;
  const std::byte* data_;
  std::size_t row_bytes_;
  std::size_t lines_;
  std::size_t dim_;
  const void* query_;
};

class L2Distance : public BoundQuery<L2Distance> {
 public:
  L2Distance(const VectorView& view, const void* query) noexcept : BoundQuery(view, query) {}
  L2Distance(const VectorView& view, Slot slot) noexcept : L2Distance(view, view.row(slot)) {}

  static const DistanceKernels::Forms& kernels_of(const VectorView& view) {
    return kernels().distance(view.dtype).l2_squared;
  }
  float finish(Slot, float squared) const noexcept { return ordered(squared); }
  static float reported(float distance) noexcept { return std::sqrt(distance); }
};

class InnerProductDistance : public BoundQuery<InnerProductDistance> {
 public:
  InnerProductDistance(const VectorView& view, const void* query) noexcept : BoundQuery(view, query) {}
  InnerProductDistance(const VectorView& view, Slot slot) noexcept : InnerProductDistance(view, view.row(slot)) {}

  static const DistanceKernels::Forms& kernels_of(const VectorView& view) {
    return kernels().distance(view.dtype).inner_product;
  }
  float finish(Slot, float product) const noexcept { return ordered(-product); }
  static float reported(float distance) noexcept { return distance; }
};

// 1 - cosine similarity. A zero row has an infinite inverse norm and so, through NaN, an infinite distance.
class CosineDistance : public BoundQuery<CosineDistance> {
 public:
  CosineDistance(const VectorView& view, const void* query) noexcept
      : CosineDistance(view, query, inverse_norm(query, view.dim, view.dtype)) {}
  // A stored row as the query: its norm is known.
  CosineDistance(const VectorView& view, Slot slot) noexcept
      : CosineDistance(view, view.row(slot), view.inverse_norms[slot]) {}

  static const DistanceKernels::Forms& kernels_of(const VectorView& view) {
    return kernels().distance(view.dtype).inner_product;
  }
  float finish(Slot slot, float product) const noexcept {
    const float distance = 1.0F - product * query_inverse_norm_ * inverse_norms_[slot];
    // An overflowed product has lost the angle: such a row is infinitely far, not infinitely near.
    return std::isfinite(distance) ? distance : std::numeric_limits<float>::infinity();
  }
  static float reported(float distance) noexcept { return distance; }

 private:
  CosineDistance(const VectorView& view, const void* query, float query_inverse_norm) noexcept
      : BoundQuery(view, query), inverse_norms_(view.inverse_norms), query_inverse_norm_(query_inverse_norm) {}

  const float* inverse_norms_;
  float query_inverse_norm_;
};

// Calls visitor with the distance functor of the view's metric bound to `query`, which has the view's dtype.
template <class Visitor>
decltype(auto) with_distance(const VectorView& view, const void* query, Visitor&& visitor) {
  switch (view.metric) {
    case Metric::kL2: return visitor(L2Distance(view, query));
    case Metric::kCosine: return visitor(CosineDistance(view, query));
    case Metric::kCustom: return visitor(CustomDistance(view, query));
    case Metric::kInnerProduct: break;
  }
  return visitor(InnerProductDistance(view, query));
}

// Calls visit(slot, distance) for each of `slots` in order.
template <class Distance, class Visit>
void for_each_distance(const Distance& distance, std::span<const Slot> slots, Visit&& visit) {
  constexpr std::size_t kStep = 8 * kMeasuredTogether;  // long enough that the start of each costs little
  alignas(kCacheLineBytes) std::array<Slot, kStep> some;
  alignas(kCacheLineBytes) std::array<float, kStep> distances;
  for (std::size_t begin = 0; begin < slots.size(); begin += kStep) {
    const std::size_t n = std::min(kStep, slots.size() - begin);
    std::copy_n(slots.data() + begin, n, some.data());
    std::fill(some.data() + n, some.data() + measured_room(n), some[0]);
    distance.measure({some.data(), n}, distances.data());
    for (std::size_t i = 0; i < n; ++i) visit(some[i], distances[i]);
  }
}

}  // namespace vdb
