#include "codec/product_quantizer_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "codec/rounding.h"

namespace vdb {
namespace {

constexpr std::size_t kEntries = 16;
constexpr double kMaxByte = 255;
constexpr double kMaxSum = 65'535;
constexpr double kLargest = 1e38;  // of an estimate: room below the end of float32 for its error
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kChunkBlocks = 8;  // sums on the stack

const ProductShape& checked_shape(const ProductQuantizer& quantizer) {
  VDB_CHECK(quantizer.shape().nbits == 4,
            "blocks hold 4-bit codes; the quantizer has " + std::to_string(quantizer.shape().nbits) + " bits");
  return quantizer.shape();
}

struct Range {
  double least;
  double greatest;
};

std::vector<Range> ranges_of(const std::vector<float>& partial) {
  std::vector<Range> ranges;
  for (std::size_t j = 0; j < partial.size(); j += kEntries) {
    const auto [least, greatest] = std::minmax_element(&partial[j], &partial[j] + kEntries);
    ranges.push_back({static_cast<double>(*least), static_cast<double>(*greatest)});
  }
  return ranges;
}

// The step at which the widest row fits a byte and the sum of all rows 16 bits, each rounded to nearest.
double step_for(const std::vector<Range>& ranges) {
  double widest = 0;
  double total = 0;
  for (const Range& range : ranges) {
    widest = std::max(widest, range.greatest - range.least);
    total += range.greatest - range.least;
  }
  const double rounding = static_cast<double>(ranges.size());
  return std::max(widest / kMaxByte, total / (kMaxSum - rounding));
}

}  // namespace

void pack_blocks(const ProductQuantizer& quantizer, const CodeRows& records, std::uint8_t* codes, float* radii) {
  const std::size_t bytes = checked_shape(quantizer).code_bytes();
  const std::size_t rows = ProductBlocks::count(records.n) * ProductBlocks::kRows;
  std::fill_n(codes, rows * bytes, std::uint8_t{0});
  std::fill_n(radii, rows, 0.0F);
  for (std::size_t i = 0; i < records.n; ++i) {
    const std::uint8_t* const record = records.data + i * records.stride;
    std::uint8_t* const block = codes + i / ProductBlocks::kRows * bytes * ProductBlocks::kRows;
    for (std::size_t j = 0; j < bytes; ++j) block[j * ProductBlocks::kRows + i % ProductBlocks::kRows] = record[j];
    radii[i] = quantizer.radius(record);
  }
}

ProductScan::ProductScan(const ProductQuantizer& quantizer, const float* query)
    : ProductScan(checked_shape(quantizer), quantizer.partial_distances(query)) {}

ProductScan::ProductScan(const ProductShape& shape, const ProductQuantizer::Bound& bound)
    : m_(2 * shape.code_bytes()), table_(m_ * kEntries), bound_(bound.bound), scan_(kernels().pq.scan4) {
  const std::vector<Range> ranges = ranges_of(bound.partial);
  const double step = step_for(ranges);
  double bias = 0;
  for (const Range& range : ranges) bias += range.least;
  const auto finite = [](float value) { return std::isfinite(value); };
  const bool fits = std::abs(bias) + step * kMaxSum <= kLargest;
  if (!fits || !std::all_of(bound.partial.begin(), bound.partial.end(), finite)) {
    bias_ = error_ = kInfinity;
    return;
  }
  double error = 0;
  for (std::size_t j = 0; j < ranges.size(); ++j) {
    double worst = 0;
    for (std::size_t c = 0; c < kEntries && step > 0; ++c) {
      const double above = static_cast<double>(bound.partial[j * kEntries + c]) - ranges[j].least;
      const double rounded = std::min(std::round(above / step), kMaxByte);
      table_[j * kEntries + c] = static_cast<std::uint8_t>(rounded);
      worst = std::max(worst, std::abs(above - rounded * step));
    }
    error += worst;
  }
  bias_ = static_cast<float>(bias);
  scale_ = static_cast<float>(step);
  // bias, step and their combination are rounded to float32.
  const double rounding = 4 * kFloatUnit * (std::abs(bias) + step * kMaxSum) + std::numeric_limits<float>::min();
  error_ = static_cast<float>((error + rounding) * (1 + 4 * kFloatUnit));
}

void ProductScan::sums(const ProductBlocks& blocks, std::uint16_t* out) const noexcept {
  scan_(table_.data(), blocks.codes, blocks.n_blocks, m_, out);
}

void ProductScan::estimate(const ProductBlocks& blocks, Estimate* out) const noexcept {
  std::uint16_t found[kChunkBlocks * ProductBlocks::kRows];
  for (std::size_t begin = 0; begin < blocks.n_blocks; begin += kChunkBlocks) {
    const std::size_t n = std::min(kChunkBlocks, blocks.n_blocks - begin);
    scan_(table_.data(), blocks.codes + begin * m_ / 2 * ProductBlocks::kRows, n, m_, found);
    const std::size_t first = begin * ProductBlocks::kRows;
    for (std::size_t i = 0; i < n * ProductBlocks::kRows; ++i) {
      out[first + i] = estimate(found[i], blocks.radii[first + i]);
    }
  }
}

}  // namespace vdb
