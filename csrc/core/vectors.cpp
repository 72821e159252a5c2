#include "core/vectors.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/half.h"
#include "base/thread_pool.h"

namespace vdb {
namespace {

constexpr std::size_t kRowsPerChunk = 4096;
// A pass that leaves out more than this many rows for each that it reads is better off without those in between.
constexpr std::size_t kLeftOut = 32;

// How one dtype lies in memory, how it becomes float32, and the exponent bits that only NaN and infinity have all set.
struct Float32 {
  using Bits = std::uint32_t;
  static constexpr Bits kExponent = 0x7f800000U;
  static float value(Bits bits) noexcept { return std::bit_cast<float>(bits); }
};

struct Float16 {
  using Bits = std::uint16_t;
  static constexpr Bits kExponent = 0x7c00U;
  static float value(Bits bits) noexcept { return from_float16(bits); }
};

struct Bfloat16 {
  using Bits = std::uint16_t;
  static constexpr Bits kExponent = 0x7f80U;
  static float value(Bits bits) noexcept { return from_bfloat16(bits); }
};

struct Int8 {
  using Bits = std::uint8_t;
  static float value(Bits bits) noexcept { return static_cast<float>(static_cast<std::int8_t>(bits)); }
};

template <class Visitor>
decltype(auto) with_dtype(Dtype dtype, Visitor&& visitor) {
  switch (dtype) {
    case Dtype::kFloat16: return visitor(Float16{});
    case Dtype::kBfloat16: return visitor(Bfloat16{});
    case Dtype::kInt8: return visitor(Int8{});
    case Dtype::kFloat32: break;
  }
  return visitor(Float32{});
}

template <class Stored>
typename Stored::Bits bits_at(const void* row, std::size_t d) noexcept {
  typename Stored::Bits bits;
  std::memcpy(&bits, static_cast<const std::byte*>(row) + d * sizeof bits, sizeof bits);
  return bits;
}

template <class Stored>
double squared_norm(const void* row, std::size_t dim) noexcept {
  const auto square = [&](std::size_t d) {
    const double value{Stored::value(bits_at<Stored>(row, d))};
    return value * value;
  };
  double sums[4] = {};
  std::size_t d = 0;
  for (; d + 4 <= dim; d += 4) {
    for (std::size_t s = 0; s < 4; ++s) sums[s] += square(d + s);
  }
  for (; d < dim; ++d) sums[0] += square(d);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class Stored>
std::size_t first_nonfinite(const VectorView& rows) noexcept {
  for (std::size_t i = 0; i < rows.n; ++i) {
    const void* const row = rows.row(static_cast<Slot>(i));
    std::uint32_t found = 0;
    for (std::size_t d = 0; d < rows.dim; ++d) {
      found |= static_cast<std::uint32_t>((bits_at<Stored>(row, d) & Stored::kExponent) == Stored::kExponent);
    }
    if (found != 0) return i;
  }
  return rows.n;
}

}  // namespace

VectorView for_pass(const VectorView& view, std::size_t count, std::size_t span) noexcept {
  VectorView rows = view;
  if (view.in_order != nullptr && count * kLeftOut >= span) rows.data = view.in_order;
  return rows;
}

void to_float32(const void* row, std::size_t dim, Dtype dtype, float* out) noexcept {
  with_dtype(dtype, [&]<class Stored>(Stored) {
    for (std::size_t d = 0; d < dim; ++d) out[d] = Stored::value(bits_at<Stored>(row, d));
  });
}

void read_row(const VectorView& view, Slot slot, float* out) noexcept {
  to_float32(view.row(slot), view.dim, view.dtype, out);
}

float inverse_norm(const void* row, std::size_t dim, Dtype dtype) noexcept {
  const double squared = with_dtype(dtype, [&]<class Stored>(Stored) { return squared_norm<Stored>(row, dim); });
  return squared > 0 ? static_cast<float>(1.0 / std::sqrt(squared)) : std::numeric_limits<float>::infinity();
}

void inverse_norms(const VectorView& rows, float* out) {
  parallel_for({rows.n, kRowsPerChunk, 0}, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
      out[i] = inverse_norm(rows.row(static_cast<Slot>(i)), rows.dim, rows.dtype);
    }
  });
}

std::size_t first_nonfinite_row(const VectorView& rows) noexcept {
  switch (rows.dtype) {
    case Dtype::kFloat32: return first_nonfinite<Float32>(rows);
    case Dtype::kFloat16: return first_nonfinite<Float16>(rows);
    case Dtype::kBfloat16: return first_nonfinite<Bfloat16>(rows);
    case Dtype::kInt8: break;
  }
  return rows.n;
}

}  // namespace vdb
