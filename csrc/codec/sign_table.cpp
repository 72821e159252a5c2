#include "codec/sign_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace vdb {
namespace {

constexpr std::size_t kSigns = 4;  // dimensions of a table row
constexpr float kMaxLevel = PackedScanKernels::kMaxEntry / kSigns;
constexpr float kMaxSum = 65'535;

// Bytes c = 0..7 of a word: 1 where bit 0, 1 or 2 of c is set, and everywhere.
constexpr std::uint64_t kBit0 = 0x0100010001000100ULL;
constexpr std::uint64_t kBit1 = 0x0101000001010000ULL;
constexpr std::uint64_t kBit2 = 0x0101010100000000ULL;
constexpr std::uint64_t kAll = 0x0101010101010101ULL;

// Values that the compiler can take side by side; padded dimensions are a multiple.
constexpr std::size_t kLanes = 16;

struct Magnitudes {
  float greatest;
  float total;
};

Magnitudes magnitudes_of(const float* values, std::size_t n) noexcept {
  float greatest[kLanes] = {};
  float totals[kLanes] = {};
  for (std::size_t i = 0; i < n; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float magnitude = std::abs(values[i + j]);
      greatest[j] = greatest[j] < magnitude ? magnitude : greatest[j];
      totals[j] += magnitude;
    }
  }
  Magnitudes all{0, 0};
  for (std::size_t j = 0; j < kLanes; ++j) {
    all.greatest = std::max(all.greatest, greatest[j]);
    all.total += totals[j];
  }
  return all;
}

// values * inverse, rounded; the sum of their magnitudes. Written so that the signs of a query, which follow no
// pattern, cost no branches.
int round_to_levels(const float* values, std::size_t n, float inverse, std::int8_t* levels) noexcept {
  int total = 0;
  for (std::size_t i = 0; i < n; i += kLanes) {
    int rounded[kLanes];
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float magnitude = std::abs(values[i + j]) * inverse;
      // What is no number, which overflow can make, is not below either, and becomes 0.
      const float level = magnitude <= kMaxLevel + 0.5F ? magnitude : 0.0F;
      const int nearest = static_cast<int>(level + 0.5F);
      rounded[j] = values[i + j] < 0 ? -nearest : nearest;
      total += nearest;
    }
    for (std::size_t j = 0; j < kLanes; ++j) levels[i + j] = static_cast<std::int8_t>(rounded[j]);
  }
  return total;
}

std::uint64_t word(int value) noexcept { return static_cast<std::uint64_t>(std::int64_t{value}); }

}  // namespace

// The error of rounding to so few levels is a tenth of what the signs lose.
void SignTable::bind(const float* values, std::size_t n) {
  if (levels_.size() != n) {
    levels_.assign(n, 0);
    table_ = AlignedBuffer<std::uint8_t>(n / kSigns * PackedScanKernels::kEntries, std::uint8_t{0});
  }
  const Magnitudes magnitudes = magnitudes_of(values, n);
  // Rounding adds half a level a dimension at most.
  const float rounding = 0.5F * static_cast<float>(n);
  const float step = std::max(magnitudes.greatest / kMaxLevel, magnitudes.total / (kMaxSum - rounding));
  const bool usable = step > 0 && std::isfinite(step);
  const int total = round_to_levels(values, n, usable ? 1 / step : 0.0F, levels_.data());
  // An entry counts the magnitudes whose signs agree; those that do not are the rest.
  query_.scale = usable ? 2 * step : 0.0F;
  query_.base = usable ? -step * static_cast<float>(total) : 0.0F;
  fill();
}

// A rounded value is off by a twelfth of a squared step on average.
float SignTable::deviation() const noexcept {
  return 0.5F * query_.scale * std::sqrt(static_cast<float>(levels_.size()) / 12.0F);
}

// Entry c of a row is the sum of the magnitudes whose sign is that of their bit in c: the magnitudes of negative levels
// at c = 0, and the level more for each bit. Eight entries are one word, whose bytes end within range, whatever they
// borrow from each other on the way.
void SignTable::fill() noexcept {
  const std::size_t rows = levels_.size() / kSigns;
  const std::int8_t* level = levels_.data();
  std::uint8_t* entries = table_.data();
  for (std::size_t row = 0; row < rows; ++row) {
    int negative = 0;
    for (std::size_t i = 0; i < kSigns; ++i) negative += std::max(-int{level[i]}, 0);
    std::uint64_t words[2];
    words[0] = word(negative) * kAll + word(level[0]) * kBit0 + word(level[1]) * kBit1 + word(level[2]) * kBit2;
    words[1] = words[0] + word(level[3]) * kAll;
    std::memcpy(entries, words, sizeof words);
    level += kSigns;
    entries += PackedScanKernels::kEntries;
  }
  query_.table = table_.data();
  query_.m = rows;
}

}  // namespace vdb
