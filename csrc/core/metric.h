// How far two vectors are apart. Smaller is always nearer.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace vdb {

// kCustom is a function of the caller's (core/custom_metric.h).
enum class Metric { kL2, kCosine, kInnerProduct, kCustom };

inline std::string_view name_of(Metric metric) noexcept {
  switch (metric) {
    case Metric::kL2: return "l2";
    case Metric::kCosine: return "cosine";
    case Metric::kInnerProduct: return "ip";
    case Metric::kCustom: return "custom";
  }
  return "unknown";
}

inline Metric parse_metric(std::string_view name) {
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct, Metric::kCustom}) {
    if (name == name_of(metric)) return metric;
  }
  throw InvalidArgument("unknown metric '" + std::string(name) + "'; expected l2, cosine, ip or custom");
}

}  // namespace vdb
