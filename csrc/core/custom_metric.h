// A distance that the caller of vdb wrote, as the core sees it, and where its failures are counted.
#pragma once

#include <atomic>
#include <cstdint>

namespace vdb {

// Writes the distance of two rows of `dim` values to `out`, smaller is nearer; anything but 0 says that it failed. It
// is called from many threads at once, without the GIL.
using CustomFunction = std::int32_t (*)(const float* a, const float* b, std::int64_t dim, float* out);

// Of one call of the core. A distance that failed counts as infinitely far while the call goes on, so that orderings
// stay total on every thread; whoever made the call throws once it is over.
struct MetricFailures {
  std::atomic<std::uint64_t> raised{0};
  std::atomic<std::uint64_t> nan{0};
};

struct CustomMetric {
  CustomFunction function = nullptr;
  MetricFailures* failures = nullptr;  // null: failures are not counted
};

}  // namespace vdb
