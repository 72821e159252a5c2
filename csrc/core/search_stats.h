// What a search did, in counts that repeat exactly.
#pragma once

#include <cstdint>
#include <vector>

namespace vdb {

struct SearchStats {
  std::uint64_t distances = 0;
  std::uint64_t hops = 0;                // nodes expanded
  std::vector<std::uint32_t> exhausted;  // numbers of the queries stopped by their distance budget, ascending

  SearchStats& operator+=(const SearchStats& other) {
    distances += other.distances;
    hops += other.hops;
    exhausted.insert(exhausted.end(), other.exhausted.begin(), other.exhausted.end());
    return *this;
  }
};

}  // namespace vdb
