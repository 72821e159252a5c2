#include "io/checksum.h"

#include <cstring>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace vdb {
namespace {

#if defined(__SSE4_2__)  // part of the x86-64-v2 baseline

std::uint64_t add8(std::uint64_t crc, std::uint64_t value) noexcept { return _mm_crc32_u64(crc, value); }
std::uint32_t add1(std::uint32_t crc, std::uint8_t value) noexcept { return _mm_crc32_u8(crc, value); }

#elif defined(__ARM_FEATURE_CRC32)

std::uint64_t add8(std::uint64_t crc, std::uint64_t value) noexcept {
  return __crc32cd(static_cast<std::uint32_t>(crc), value);
}
std::uint32_t add1(std::uint32_t crc, std::uint8_t value) noexcept { return __crc32cb(crc, value); }

#else

struct Table {
  std::uint32_t entry[256];
  constexpr Table() : entry{} {
    constexpr std::uint32_t kReversedPolynomial = 0x82f63b78U;
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kReversedPolynomial : 0U);
      entry[i] = crc;
    }
  }
};
constexpr Table kTable;

std::uint32_t add1(std::uint32_t crc, std::uint8_t value) noexcept {
  return kTable.entry[(crc ^ value) & 0xffU] ^ (crc >> 8);
}
std::uint64_t add8(std::uint64_t crc, std::uint64_t value) noexcept {
  auto narrow = static_cast<std::uint32_t>(crc);
  for (int byte = 0; byte < 8; ++byte) narrow = add1(narrow, static_cast<std::uint8_t>(value >> (8 * byte)));
  return narrow;
}

#endif

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed) noexcept {
  const auto* p = static_cast<const unsigned char*>(data);
  std::uint64_t crc = ~seed;
  for (; size >= 8; size -= 8, p += 8) {
    std::uint64_t value;
    std::memcpy(&value, p, 8);
    crc = add8(crc, value);
  }
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; size > 0; --size, ++p) narrow = add1(narrow, *p);
  return ~narrow;
}

}  // namespace vdb
