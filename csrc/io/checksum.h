// CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4): against rot and torn writes, not against attackers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vdb {

// Checksum of `size` bytes continuing from `seed`: crc32c(ab) == crc32c(b, crc32c(a)).
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed = 0) noexcept;

}  // namespace vdb
