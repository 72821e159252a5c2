// Packed codes, in the layout the code kernels read (simd/kernels.h).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vdb {

// Dimensions that are packed together; codes are padded to a multiple of it.
inline constexpr std::size_t kCodeBlock = 64;

// Bytes of `dim` codes of `bits` bits; dim is a multiple of kCodeBlock.
constexpr std::size_t packed_bytes(std::size_t dim, unsigned bits) noexcept { return dim * bits / 8; }

// Packs `dim` values below 2^bits into packed_bytes(dim, bits) bytes. dim is a multiple of kCodeBlock; bits is 1, 2, 4
// or 8; the two arrays do not overlap.
void pack_codes(const std::uint8_t* values, std::size_t dim, unsigned bits, std::uint8_t* out) noexcept;

// The inverse: `dim` values, a byte each.
void unpack_codes(const std::uint8_t* packed, std::size_t dim, unsigned bits, std::uint8_t* out) noexcept;

}  // namespace vdb
