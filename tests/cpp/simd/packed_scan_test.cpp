#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/half.h"
#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kRows = PackedScanKernels::kRows;
constexpr std::size_t kEntries = PackedScanKernels::kEntries;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Group {
  Group(std::size_t its_m, std::uint64_t seed)
      : m(its_m), table(m * kEntries), codes(m / 2 * kRows), factors(2 * kRows) {
    Random random(seed);
    for (std::uint8_t& entry : table) {
      entry = static_cast<std::uint8_t>(random.below(PackedScanKernels::kMaxEntry + std::size_t{1}));
    }
    for (std::uint8_t& byte : codes) byte = static_cast<std::uint8_t>(random.next());
    for (float& factor : factors) factor = static_cast<float>(random.normal());
  }

  unsigned sum(std::size_t row) const {
    unsigned sum = 0;
    for (std::size_t j = 0; j < m; ++j) {
      const unsigned byte = codes[j / 2 * kRows + row];
      sum += table[j * kEntries + (j % 2 == 0 ? byte & 15U : byte >> 4U)];
    }
    return sum;
  }

  PackedScanKernels::Query query() const { return {table.data(), m, 0.37F, -2.25F}; }

  std::size_t m;
  std::vector<std::uint8_t> table;
  std::vector<std::uint8_t> codes;
  std::vector<float> factors;
};

TEST_CASE("estimates of packed neighbours are the same bits at every level and follow their formula") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    for (const std::size_t m : {4U, 16U, 96U, 256U, 1024U}) {
      const Group group(m, m);
      const PackedScanKernels::Query query = group.query();
      std::vector<float> out(kRows);
      const PackedScanKernels::Bounds bounds{3.5F, 3.0F};
      const std::uint32_t nearer =
          kernels_for(isa).packed_scan.estimate(query, group.codes.data(), group.factors.data(), bounds, out.data());
      for (std::size_t i = 0; i < kRows; ++i) {
        const float product = query.scale * static_cast<float>(group.sum(i)) + query.base;
        const float expected = bounds.distance + (group.factors[i] + group.factors[kRows + i] * product);
        CHECK(out[i] == expected);
        CHECK((nearer >> i & 1U) == (expected < bounds.threshold ? 1U : 0U));
      }
    }
  }
}

TEST_CASE("factors in bfloat16 give what the same factors give as floats") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    Group group(96, 5);
    std::vector<std::uint16_t> halves(group.factors.size());
    std::transform(group.factors.begin(), group.factors.end(), halves.begin(), to_bfloat16);
    halves[7] = to_bfloat16(kInfinity);
    std::transform(halves.begin(), halves.end(), group.factors.begin(), from_bfloat16);
    const PackedScanKernels& kernels = kernels_for(isa).packed_scan;
    std::vector<float> expected(kRows);
    std::vector<float> out(kRows);
    const PackedScanKernels::Bounds bounds{3.5F, 3.0F};
    const std::uint32_t nearer =
        kernels.estimate(group.query(), group.codes.data(), group.factors.data(), bounds, expected.data());
    CHECK(kernels.estimate_bf16(group.query(), group.codes.data(), halves.data(), bounds, out.data()) == nearer);
    CHECK(out == expected);
    CHECK(nearer != 0);
  }
}

TEST_CASE("the largest sums of packed neighbours do not overflow") {
  constexpr std::size_t kRowsOfTable = 65'535 / PackedScanKernels::kMaxEntry / 4 * 4;
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    Group group(kRowsOfTable, 1);
    std::fill(group.table.begin(), group.table.end(), PackedScanKernels::kMaxEntry);
    std::fill_n(group.factors.begin(), kRows, 0.0F);
    std::fill_n(group.factors.begin() + kRows, kRows, 1.0F);
    std::vector<float> out(kRows);
    kernels_for(isa).packed_scan.estimate({group.table.data(), group.m, 1, 0}, group.codes.data(), group.factors.data(),
                                          {0, 0}, out.data());
    for (const float sum : out) CHECK(sum == static_cast<float>(kRowsOfTable * PackedScanKernels::kMaxEntry));
  }
}

TEST_CASE("a packed neighbour at infinity or without a number is below no threshold") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    Group group(16, 2);
    group.factors[3] = kInfinity;
    group.factors[kRows + 3] = 0;
    group.factors[9] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> out(kRows);
    const std::uint32_t nearer = kernels_for(isa).packed_scan.estimate(
        group.query(), group.codes.data(), group.factors.data(), {0, kInfinity}, out.data());
    CHECK(nearer == ~(1U << 3 | 1U << 9));
    CHECK(out[3] == kInfinity);
  }
}

}  // namespace
}  // namespace vdb
