#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "core/code_packing.h"
#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kRows = CodeKernels::kGathered;
constexpr std::size_t kGap = 3;  // bytes before, between and behind the parts, so that they are unaligned

// Codes of `bits` bits cut into parts, and a query; all values random or the greatest.
struct Case {
  Case(unsigned bits, std::size_t its_dim, bool greatest) : dim(its_dim), query(dim), expected{} {
    unsigned left = bits - 1;
    std::size_t offset = kGap;
    const auto add_part = [&](unsigned part_bits) {
      parts.push_back({part_bits, left, offset});
      offset += packed_bytes(dim, part_bits) + kGap;
    };
    add_part(1);
    for (const unsigned part_bits : {4U, 2U, 1U}) {
      if (left < part_bits) continue;
      left -= part_bits;
      add_part(part_bits);
    }
    Random random(dim * 10 + bits);
    for (std::int8_t& value : query)
      value = static_cast<std::int8_t>(greatest ? -128 : static_cast<int>(random.below(256)) - 128);
    for (std::size_t r = 0; r < kRows; ++r) {
      std::vector<unsigned> values(dim);
      const unsigned top = (1U << bits) - 1U;
      for (unsigned& value : values) value = greatest ? top : static_cast<unsigned>(random.below(top + 1));
      for (std::size_t i = 0; i < dim; ++i) expected[r] += static_cast<std::int32_t>(values[i]) * query[i];
      records[r].assign(offset - kGap, 0xFF);  // ends with the last part: nothing behind it may be read
      std::vector<std::uint8_t> cut(dim);
      for (const CodeKernels::Part& part : parts) {
        for (std::size_t i = 0; i < dim; ++i) {
          cut[i] = static_cast<std::uint8_t>(values[i] >> part.shift & ((1U << part.bits) - 1U));
        }
        pack_codes(cut.data(), dim, part.bits, records[r].data() + part.offset);
      }
    }
  }

  std::array<std::int32_t, kRows> products(const Kernels& kernels) const {
    std::array<const std::uint8_t*, kRows> rows;
    for (std::size_t r = 0; r < kRows; ++r) rows[r] = records[r].data();
    std::array<std::int32_t, kRows> out;
    kernels.code.parts_x8(rows.data(), {parts.data(), parts.size()}, query.data(), dim, out.data());
    return out;
  }

  std::size_t dim;
  std::vector<CodeKernels::Part> parts;
  std::vector<std::int8_t> query;
  std::array<std::vector<std::uint8_t>, kRows> records;
  std::array<std::int32_t, kRows> expected;
};

TEST_CASE("the product of a code in parts is that of its values at every level, for 2 to 8 bits") {
  for (unsigned bits = 2; bits <= 8; ++bits) {
    for (const std::size_t dim : {64U, 128U, 192U, 384U, 1088U}) {
      for (const bool greatest : {false, true}) {
        const Case made(bits, dim, greatest);
        for (const Isa isa : available_isas()) {
          CAPTURE(name_of(isa));
          CAPTURE(bits);
          CAPTURE(dim);
          CHECK(made.products(kernels_for(isa)) == made.expected);
        }
      }
    }
  }
}

}  // namespace
}  // namespace vdb
