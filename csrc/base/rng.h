// Seeded randomness that depends only on (seed, index), so a level or a sample does not depend on thread or order.
// SplitMix64: Steele, Lea and Flood, OOPSLA 2014.
#pragma once

#include <cstdint>

namespace vdb {

constexpr std::uint64_t splitmix64(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Uniform in (0, 1], never 0, so its logarithm is finite.
constexpr double uniform(std::uint64_t seed, std::uint64_t index) noexcept {
  return (static_cast<double>(splitmix64(seed ^ splitmix64(index)) >> 11) + 1.0) * 0x1.0p-53;
}

}  // namespace vdb
