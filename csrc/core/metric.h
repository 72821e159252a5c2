// How far two vectors are apart. Smaller is always nearer.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace vdb {

enum class Metric { kL2, kCosine, kInnerProduct };

inline std::string_view name_of(Metric metric) noexcept {
  switch (metric) {
    case Metric::kL2: return "l2";
    case Metric::kCosine: return "cosine";
    case Metric::kInnerProduct: return "ip";
  }
  return "unknown";
}

inline Metric parse_metric(std::string_view name) {
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct}) {
    if (name == name_of(metric)) return metric;
  }
  throw InvalidArgument("unknown metric '" + std::string(name) + "'; expected l2, cosine or ip");
}

}  // namespace vdb
