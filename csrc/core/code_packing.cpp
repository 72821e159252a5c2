#include "core/code_packing.h"

#include "base/check.h"

namespace vdb {
namespace {

// Where a block keeps one of its values.
struct Place {
  std::size_t byte;
  unsigned shift;
};

// Values that share a shift stand in consecutive bytes, but those of one bit share a byte: they make a 64-bit word.
Place place_of(std::size_t i, unsigned bits) noexcept {
  constexpr std::size_t kByteBits = 8;
  if (bits == 1) return {i / kByteBits, static_cast<unsigned>(i % kByteBits)};
  const std::size_t field_bytes = packed_bytes(kCodeBlock, bits);
  return {i % field_bytes, static_cast<unsigned>(i / field_bytes) * bits};
}

}  // namespace

void pack_codes(const std::uint8_t* values, std::size_t dim, unsigned bits, std::uint8_t* out) noexcept {
  VDB_ASSERT(dim % kCodeBlock == 0);
  const std::size_t block_bytes = packed_bytes(kCodeBlock, bits);
  for (std::size_t first = 0; first < dim; first += kCodeBlock, out += block_bytes) {
    for (std::size_t b = 0; b < block_bytes; ++b) out[b] = 0;
    for (std::size_t i = 0; i < kCodeBlock; ++i) {
      VDB_ASSERT(values[first + i] >> bits == 0);
      const Place place = place_of(i, bits);
      out[place.byte] = static_cast<std::uint8_t>(out[place.byte] | values[first + i] << place.shift);
    }
  }
}

void unpack_codes(const std::uint8_t* packed, std::size_t dim, unsigned bits, std::uint8_t* out) noexcept {
  VDB_ASSERT(dim % kCodeBlock == 0);
  const unsigned mask = (1U << bits) - 1U;
  for (std::size_t first = 0; first < dim; first += kCodeBlock, packed += packed_bytes(kCodeBlock, bits)) {
    for (std::size_t i = 0; i < kCodeBlock; ++i) {
      const Place place = place_of(i, bits);
      out[first + i] = static_cast<std::uint8_t>(static_cast<unsigned>(packed[place.byte]) >> place.shift & mask);
    }
  }
}

}  // namespace vdb
