// Which rows a training looks at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vdb {

// min(count, n) of the numbers below n, ascending, without repetition: a function of the seed.
std::vector<std::size_t> sample_rows(std::size_t n, std::size_t count, std::uint64_t seed);

}  // namespace vdb
