// Products of packed codes without intrinsics: the reference the other levels are tested against, and the fallback.
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/code_distance/bit_driver.h"
#include "simd/code_distance/driver.h"

struct Codes {
  std::uint8_t values[kBlock];
};

template <unsigned kCodeBits>
struct Simd {
  using Register = std::int32_t;
  using Query = const std::int8_t*;
  static constexpr std::size_t kBits = kCodeBits;
  static constexpr std::size_t kParts = 1;
  static constexpr std::size_t kQueries = 4;
  static constexpr unsigned kMask = (1U << kBits) - 1U;

  static std::int32_t zero() noexcept { return 0; }
  static std::int32_t start(const std::int8_t*, std::size_t) noexcept { return 0; }
  static Query load_query(const std::int8_t* query) noexcept { return query; }
  static Codes unpack(const std::uint8_t* code, std::size_t) noexcept {
    constexpr std::size_t kFieldDims = kBits == 1 ? 1 : kBits * 8;  // dimensions that stand at one shift
    constexpr std::size_t kFields = 8 / kBits;
    Codes codes;
    for (std::size_t first = 0; first < kBlock; first += kFieldDims * kFields) {
      const std::uint8_t* const bytes = code + first * kBits / 8;
      for (std::size_t f = 0; f < kFields; ++f) {
        for (std::size_t i = 0; i < kFieldDims; ++i) {
          const unsigned value = static_cast<unsigned>(bytes[i]) >> (f * kBits) & kMask;
          codes.values[first + f * kFieldDims + i] = static_cast<std::uint8_t>(value);
        }
      }
    }
    return codes;
  }
  static std::int32_t step(std::int32_t sum, const Codes& codes, Query query) noexcept {
    for (std::size_t i = 0; i < kBlock; ++i) sum += codes.values[i] * query[i];
    return sum;
  }
  static std::int32_t add(std::int32_t a, std::int32_t b) noexcept { return a + b; }
  static void reduce(const std::int32_t* sums, std::int32_t* out) noexcept {
    for (std::size_t r = 0; r < kRows; ++r) out[r] = sums[r];
  }
};

struct Bits {
  using Register = std::uint64_t;
  static constexpr std::size_t kWords = 1;

  static std::uint64_t zero() noexcept { return 0; }
  static std::size_t mask(std::size_t n) noexcept { return n; }
  static std::uint64_t load(const std::uint8_t* p, std::size_t) noexcept {
    std::uint64_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
  }
  static std::uint64_t count(std::uint64_t code, std::uint64_t plane) noexcept {
    return static_cast<std::uint64_t>(__builtin_popcountll(code & plane));
  }
  static std::uint64_t gather(std::uint64_t counts, std::uint64_t count, std::size_t) noexcept {
    return counts + counts + count;
  }
  static std::uint64_t widen(std::uint64_t sum, std::uint64_t counts) noexcept { return sum + counts; }
  static void reduce(const std::uint64_t* sums, std::uint32_t* out) noexcept {
    for (std::size_t r = 0; r < kBitRows; ++r) out[r] = static_cast<std::uint32_t>(sums[r]);
  }
};

}  // namespace

extern const CodeKernels kCode = table<Simd>();
extern const BitCodeKernels kBitCode = bit_table<Bits>();

}  // namespace vdb::scalar
