// A query bound to a matrix under a distance of the caller's: the functor beside those of core/distance.h.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>

#include "base/prefetch.h"
#include "core/vectors.h"

namespace vdb {

// Room for a query and a row of `dim` values as float32, of the calling thread and valid until its next call. A functor
// is copied by value and made in the middle of loops, so it owns no memory; only the first call of a thread, or one for
// longer rows, allocates.
float* widening_room(std::size_t dim);

// The function takes float32. Rows of another dtype are widened, exactly, for each distance, and the query once for
// each run of rows.
class CustomDistance {
 public:
  static constexpr bool kShortRows = false;

  // Allocates where the thread has no room yet, so that measuring, in loops that must not throw, does not.
  CustomDistance(const VectorView& view, const void* query)
      : view_(view), lines_(std::min(lines_of(view.row_bytes()), kPrefetchLines)), query_(query) {
    if (view.dtype != Dtype::kFloat32) widening_room(view.dim);
  }
  CustomDistance(const VectorView& view, Slot slot) : CustomDistance(view, view.row(slot)) {}

  float operator()(Slot slot) const {
    float distance = 0;
    measure({&slot, 1}, &distance);
    return distance;
  }

  void x4(const Slot* slots, float* out) const { measure({slots, 4}, out); }

  // One row after the other, and none twice: failures are counted.
  void measure(std::span<const Slot> slots, float* out) const {
    for (std::size_t i = 0; i < std::min(slots.size(), kRowsAhead); ++i) prefetch_row(slots[i]);
    if (view_.dtype == Dtype::kFloat32) {
      measure_each(slots, query_, out, [&](Slot slot) { return view_.row(slot); });
    } else {
      float* const query = widening_room(view_.dim);
      float* const row = query + view_.dim;
      to_float32(query_, view_.dim, view_.dtype, query);
      measure_each(slots, query, out, [&](Slot slot) {
        read_row(view_, slot, row);
        return row;
      });
    }
  }

  void prefetch_row(Slot slot) const noexcept { prefetch_lines(view_.row(slot), lines_); }
  const void* query() const noexcept { return query_; }
  static float reported(float distance) noexcept { return distance; }

 private:
  static constexpr std::size_t kRowsAhead = 4;  // whose cache misses overlap with the function

  template <class Read>
  void measure_each(std::span<const Slot> slots, const void* query, float* out, Read&& read) const {
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (i + kRowsAhead < slots.size()) prefetch_row(slots[i + kRowsAhead]);
      out[i] = between(query, read(slots[i]));
    }
  }

  float between(const void* query, const void* row) const noexcept {
    float distance = 0;
    const auto dim = static_cast<std::int64_t>(view_.dim);
    const bool failed =
        view_.custom.function(static_cast<const float*>(query), static_cast<const float*>(row), dim, &distance) != 0;
    if (!failed && distance == distance) return distance;
    if (MetricFailures* const failures = view_.custom.failures) {
      (failed ? failures->raised : failures->nan).fetch_add(1, std::memory_order_relaxed);
    }
    return std::numeric_limits<float>::infinity();
  }

  VectorView view_;
  std::size_t lines_;
  const void* query_;
};

}  // namespace vdb
