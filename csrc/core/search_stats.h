// What a search did, in counts that repeat exactly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace vdb {

struct SearchStats {
  std::uint64_t distances = 0;            // exact ones, on stored vectors
  std::uint64_t estimates = 0;            // from codes
  std::uint64_t refined = 0;              // of the estimates, those by all bits of a code after its signs
  std::uint64_t hops = 0;                 // nodes expanded
  std::uint64_t tests = 0;                // slots looked up in a row set, one by one
  std::vector<std::uint32_t> unfinished;  // queries that a walk left short of k, or its distance budget ended
  std::vector<std::uint32_t> tied;        // queries with equal distances in their answer
  std::vector<std::uint32_t> cut;         // queries with a row outside their answer as near as its last
  std::uint64_t lists = 0;                // of an inverted file, read

  SearchStats& operator+=(const SearchStats& other) {
    distances += other.distances;
    estimates += other.estimates;
    refined += other.refined;
    hops += other.hops;
    lists += other.lists;
    tests += other.tests;
    unfinished.insert(unfinished.end(), other.unfinished.begin(), other.unfinished.end());
    tied.insert(tied.end(), other.tied.begin(), other.tied.end());
    cut.insert(cut.end(), other.cut.begin(), other.cut.end());
    return *this;
  }

  // In the order of the queries, whatever the order of the threads.
  void sort() {
    std::sort(unfinished.begin(), unfinished.end());
    std::sort(tied.begin(), tied.end());
    std::sort(cut.begin(), cut.end());
  }
};

}  // namespace vdb
