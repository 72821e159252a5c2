// What a sum of partial distances to a row's codes says about the distance to the row itself: an interval that holds
// it, float32 rounding of both included.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "codec/estimate.h"
#include "core/metric.h"

namespace vdb {

class ProductBound {
 public:
  struct Terms {
    Metric metric;  // kL2 or kInnerProduct
    double query_norm;
    double rotation_error;  // a rotation moves a vector by at most this share of its length off the exact one
    double max_norm;        // of a decoded row
    std::size_t additions;  // rounding steps in a sum
    std::size_t dim;
  };
  explicit ProductBound(const Terms& terms);

  // `sum` is the squared l2 or negative inner product of the decoded row, up to sum_error besides its rounding;
  // `radius` bounds how far the row is from it.
  Estimate of(float sum, float sum_error, float radius) const noexcept;

 private:
  static constexpr float kTiny = std::numeric_limits<float>::min();  // products below it lose their digits

  bool l2_;
  float moved_;     // l2: by how much the query may be off
  float reach_;     // ip: the error for each unit of the radius
  float relative_;  // l2: rounding of a sum and of the row's own distance, as a share of them
  float absolute_;  // ip: and of any sum
};

inline Estimate ProductBound::of(float sum, float sum_error, float radius) const noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float distance = sum;
  float error = radius * reach_ + absolute_ + sum_error;
  if (l2_) {
    // The true distance is within max(0, s - r)^2 and (s + r)^2 for the true root s of `sum`. Around s^2 + r^2 that is
    // 2 s r on either side, or down to 0 where r may be the greater.
    const float r = radius + moved_;
    const float root = std::sqrt(sum + relative_ * sum + sum_error + kTiny);
    distance = sum + r * r;
    error = root < r ? distance : 2 * r * root;
    error += relative_ * (distance + error) + sum_error + kTiny;
  }
  if (error < kInfinity && std::abs(distance) < kInfinity) return {distance, error};
  return {std::abs(distance) < kInfinity ? distance : kInfinity, kInfinity};
}

}  // namespace vdb
