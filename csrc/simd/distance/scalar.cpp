// Distances without intrinsics: the reference the other levels are tested against, and the fallback.
// The float dtypes accumulate float32 in four sums, error about dim/4 rounding steps; int8 is exact until the result is
// rounded to float32.
#include <cstring>

#include "base/half.h"
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/distance/driver.h"

struct Floats {
  using Register = float;
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kSums = 4;
  static constexpr std::size_t kRows = 1;
  static constexpr bool kWidens = false;
  static constexpr std::size_t kTileQueries = 1;
  static constexpr std::size_t kTileRows = 1;

  static float zero() noexcept { return 0.0F; }
  static float reduce(const float* sums) noexcept { return (sums[0] + sums[1]) + (sums[2] + sums[3]); }
};

template <class Value>
Value read(const Value* p) noexcept {
  Value value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

// One lane has no tail, so no load_first() here is ever called.
struct Float32 : Floats {
  using Value = float;
  static float load(const float* p) noexcept { return read(p); }
  static float load_first(const float* p, std::size_t) noexcept { return load(p); }
};

struct Float16 : Floats {
  using Value = std::uint16_t;
  static float load(const std::uint16_t* p) noexcept { return from_float16(read(p)); }
  static float load_first(const std::uint16_t* p, std::size_t) noexcept { return load(p); }
};

struct Bfloat16 : Floats {
  using Value = std::uint16_t;
  static float load(const std::uint16_t* p) noexcept { return from_bfloat16(read(p)); }
  static float load_first(const std::uint16_t* p, std::size_t) noexcept { return load(p); }
};

struct FloatOp {
  static float start(const void*, std::size_t) noexcept { return 0.0F; }
};

struct L2Squared : FloatOp {
  static float step(float sum, float a, float b) noexcept { return sum + (a - b) * (a - b); }
};

struct InnerProduct : FloatOp {
  static float step(float sum, float a, float b) noexcept { return sum + a * b; }
};

// Integers of 65,535 dimensions: a squared distance is below 2^32, an inner product within 2^31, so sums modulo 2^32
// are exact when the last is read as what it is.
template <class Sum>
struct Int8 {
  using Value = std::int8_t;
  using Register = std::uint32_t;
  static constexpr std::size_t kLanes = 1;
  static constexpr std::size_t kSums = 1;
  static constexpr std::size_t kRows = 1;
  static constexpr bool kWidens = false;
  static constexpr std::size_t kTileQueries = 1;
  static constexpr std::size_t kTileRows = 1;

  static std::uint32_t zero() noexcept { return 0; }
  static std::int32_t load(const std::int8_t* p) noexcept { return *p; }
  static std::int32_t load_first(const std::int8_t* p, std::size_t) noexcept { return load(p); }
  static float reduce(const std::uint32_t* sums) noexcept { return static_cast<float>(static_cast<Sum>(sums[0])); }
};

struct Int8Op {
  static std::uint32_t start(const void*, std::size_t) noexcept { return 0; }
};

struct Int8L2Squared : Int8Op {
  static std::uint32_t step(std::uint32_t sum, std::int32_t a, std::int32_t b) noexcept {
    return sum + static_cast<std::uint32_t>((a - b) * (a - b));
  }
};

struct Int8InnerProduct : Int8Op {
  static std::uint32_t step(std::uint32_t sum, std::int32_t a, std::int32_t b) noexcept {
    return sum + static_cast<std::uint32_t>(a * b);
  }
};

}  // namespace

extern const DistanceKernels kDistanceF32{forms<Float32, L2Squared>(), forms<Float32, InnerProduct>()};
extern const DistanceKernels kDistanceF16{forms<Float16, L2Squared>(), forms<Float16, InnerProduct>()};
extern const DistanceKernels kDistanceBf16{forms<Bfloat16, L2Squared>(), forms<Bfloat16, InnerProduct>()};
extern const DistanceKernels kDistanceI8{forms<Int8<std::uint32_t>, Int8L2Squared>(),
                                         forms<Int8<std::int32_t>, Int8InnerProduct>()};

}  // namespace vdb::scalar
