// How many dimensions a vector may have.
#pragma once

#include <cstddef>

namespace vdb {

// More would overflow the int32 sums of products of 8-bit codes.
inline constexpr std::size_t kMaxDim = 65'535;

}  // namespace vdb
