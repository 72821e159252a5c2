#include "io/checksum.h"

#include <cstring>
#include <vector>

#include "base/thread_pool.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace vdb {
namespace {

// A checksum is a polynomial over GF(2) modulo the Castagnoli polynomial. Bit 31 is the constant term.
constexpr std::uint32_t kReversedPolynomial = 0x82f63b78U;
constexpr std::uint32_t kOne = 0x80000000U;
constexpr std::uint32_t kX = 0x40000000U;

constexpr std::uint32_t times_x(std::uint32_t a) noexcept {
  return (a >> 1) ^ ((a & 1U) != 0 ? kReversedPolynomial : 0U);
}

constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) noexcept {
  std::uint32_t sum = 0;
  for (; a != 0; a <<= 1, b = times_x(b)) sum ^= (a & kOne) != 0 ? b : 0U;
  return sum;
}

// x to the power of 8 * n: what n zero bytes multiply a checksum by.
constexpr std::uint32_t zero_bytes(std::uint64_t n) noexcept {
  std::uint32_t square = kX;
  for (int doubling = 0; doubling < 3; ++doubling) square = product(square, square);
  std::uint32_t power = kOne;
  for (; n != 0; n >>= 1, square = product(square, square)) {
    if ((n & 1U) != 0) power = product(power, square);
  }
  return power;
}

#if defined(__SSE4_2__)  // part of the x86-64-v2 baseline

std::uint64_t add8(std::uint64_t crc, std::uint64_t value) noexcept { return _mm_crc32_u64(crc, value); }
std::uint32_t add1(std::uint32_t crc, std::uint8_t value) noexcept { return _mm_crc32_u8(crc, value); }

#elif defined(__ARM_FEATURE_CRC32)

std::uint64_t add8(std::uint64_t crc, std::uint64_t value) noexcept {
  return __crc32cd(static_cast<std::uint32_t>(crc), value);
}
std::uint32_t add1(std::uint32_t crc, std::uint8_t value) noexcept { return __crc32cb(crc, value); }

#else

// behind[n][byte]: the checksum of the byte and n zero bytes behind it, so that eight bytes are eight lookups at once.
struct Tables {
  std::uint32_t behind[8][256];
  constexpr Tables() : behind{} {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t crc = byte;
      for (int bit = 0; bit < 8; ++bit) crc = times_x(crc);
      behind[0][byte] = crc;
    }
    for (int n = 1; n < 8; ++n) {
      for (std::uint32_t byte = 0; byte < 256; ++byte) {
        const std::uint32_t crc = behind[n - 1][byte];
        behind[n][byte] = behind[0][crc & 0xffU] ^ (crc >> 8);
      }
    }
  }
};
constexpr Tables kTables;

std::uint32_t add1(std::uint32_t crc, std::uint8_t value) noexcept {
  return kTables.behind[0][(crc ^ value) & 0xffU] ^ (crc >> 8);
}
std::uint64_t add8(std::uint64_t crc, std::uint64_t value) noexcept {
  value ^= crc;
  std::uint32_t sum = 0;
  for (int byte = 0; byte < 8; ++byte) sum ^= kTables.behind[7 - byte][(value >> (8 * byte)) & 0xffU];
  return sum;
}

#endif

// An add waits for the one before it for three cycles, so three lanes run side by side and are joined. A lane is long
// enough that the join costs little beside it, and three fit the first-level cache.
constexpr std::size_t kLaneBytes = 4096;
constexpr std::size_t kLanes = 3;

// Multiplies a checksum by zero_bytes(kLaneBytes), a byte of the checksum at a time.
struct LaneSkip {
  std::uint32_t of_byte[4][256];
  constexpr LaneSkip() : of_byte{} {
    constexpr std::uint32_t kFactor = zero_bytes(kLaneBytes);
    for (int at = 0; at < 4; ++at) {
      for (std::uint32_t byte = 1; byte < 256; ++byte) {
        const std::uint32_t rest = byte & (byte - 1);
        of_byte[at][byte] =
            rest == 0 ? product(byte << (8 * at), kFactor) : of_byte[at][rest] ^ of_byte[at][byte ^ rest];
      }
    }
  }
  std::uint64_t operator()(std::uint64_t crc) const noexcept {
    return of_byte[0][crc & 0xffU] ^ of_byte[1][(crc >> 8) & 0xffU] ^ of_byte[2][(crc >> 16) & 0xffU] ^
           of_byte[3][(crc >> 24) & 0xffU];
  }
};
constexpr LaneSkip kSkipLane;

std::uint64_t load8(const unsigned char* p) noexcept {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

std::uint64_t add_lanes(std::uint64_t first, const unsigned char* p) noexcept {
  std::uint64_t second = 0;
  std::uint64_t third = 0;
  for (const unsigned char* const end = p + kLaneBytes; p < end; p += 8) {
    first = add8(first, load8(p));
    second = add8(second, load8(p + kLaneBytes));
    third = add8(third, load8(p + 2 * kLaneBytes));
  }
  return kSkipLane(kSkipLane(first) ^ second) ^ third;
}

// What a thread sums in one turn: many lanes, and enough turns for all threads to end together.
constexpr std::size_t kTurnBytes = std::size_t{1} << 20;

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t seed) noexcept {
  const auto* p = static_cast<const unsigned char*>(data);
  std::uint64_t crc = static_cast<std::uint32_t>(~seed);
  for (; size >= kLanes * kLaneBytes; size -= kLanes * kLaneBytes, p += kLanes * kLaneBytes) crc = add_lanes(crc, p);
  for (; size >= 8; size -= 8, p += 8) crc = add8(crc, load8(p));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; size > 0; --size, ++p) narrow = add1(narrow, *p);
  return ~narrow;
}

std::uint32_t crc32c_joined(std::uint32_t head, std::uint32_t tail, std::uint64_t tail_size) noexcept {
  return product(head, zero_bytes(tail_size)) ^ tail;
}

std::uint32_t parallel_crc32c(const void* data, std::size_t size) {
  const auto* const bytes = static_cast<const unsigned char*>(data);
  const std::size_t turns = (size + kTurnBytes - 1) / kTurnBytes;
  if (turns <= 1) return crc32c(data, size);
  std::vector<std::uint32_t> sums(turns);
  parallel_for({size, kTurnBytes, 0}, [&](const Chunk& chunk) {
    sums[chunk.begin / kTurnBytes] = crc32c(bytes + chunk.begin, chunk.end - chunk.begin);
  });
  const std::size_t last = size - (turns - 1) * kTurnBytes;
  std::uint32_t sum = sums[0];
  for (std::size_t turn = 1; turn < turns; ++turn) {
    sum = crc32c_joined(sum, sums[turn], turn + 1 < turns ? kTurnBytes : last);
  }
  return sum;
}

}  // namespace vdb
