// What a search did, in counts that repeat exactly.
#pragma once

#include <cstdint>

namespace vdb {

struct SearchStats {
  std::uint64_t distances = 0;
  std::uint64_t hops = 0;              // nodes expanded
  std::uint64_t budget_exhausted = 0;  // queries stopped by their distance budget

  SearchStats& operator+=(const SearchStats& other) noexcept {
    distances += other.distances;
    hops += other.hops;
    budget_exhausted += other.budget_exhausted;
    return *this;
  }
};

}  // namespace vdb
