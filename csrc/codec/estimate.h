// What a code says about a distance.
#pragma once

namespace vdb {

// The distance in search order (squared l2, negative inner product) lies within `distance` +- `error`: surely where the
// codec is `kBounded`, else with the probability that it states.
struct Estimate {
  float distance;
  float error;
};

}  // namespace vdb
