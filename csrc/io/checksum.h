// CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4): against rot and torn writes, not against attackers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vdb {

// Checksum of `size` bytes continuing from `seed`: crc32c(ab) == crc32c(b, crc32c(a)).
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed = 0) noexcept;

// crc32c(ab) of the checksums of a and b, where b is `tail_size` bytes long.
std::uint32_t crc32c_joined(std::uint32_t head, std::uint32_t tail, std::uint64_t tail_size) noexcept;

// crc32c(data, size) by all threads.
std::uint32_t parallel_crc32c(const void* data, std::size_t size);

}  // namespace vdb
