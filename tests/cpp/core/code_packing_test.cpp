#include "core/code_packing.h"

#include <doctest/doctest.h>

#include <vector>

#include "data.h"

namespace vdb {
namespace {

constexpr unsigned kWidths[] = {1, 2, 4, 8};

// The packed block of one dimension's largest value among zeros.
std::vector<std::uint8_t> packed_single(std::size_t at, unsigned bits) {
  std::vector<std::uint8_t> values(kCodeBlock);
  values[at] = static_cast<std::uint8_t>((1U << bits) - 1U);
  std::vector<std::uint8_t> packed(packed_bytes(kCodeBlock, bits));
  pack_codes(values.data(), kCodeBlock, bits, packed.data());
  return packed;
}

TEST_CASE("unpacking returns what was packed") {
  for (const unsigned bits : kWidths) {
    for (const std::size_t dim : {64U, 128U, 1088U, 65536U}) {
      testing::Random random(dim + bits);
      std::vector<std::uint8_t> values(dim);
      for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random.below(std::size_t{1} << bits));
      std::vector<std::uint8_t> packed(packed_bytes(dim, bits), 0xA5);
      pack_codes(values.data(), dim, bits, packed.data());
      std::vector<std::uint8_t> unpacked(dim);
      unpack_codes(packed.data(), dim, bits, unpacked.data());
      CHECK(unpacked == values);
    }
  }
}

TEST_CASE("each width is laid out as the kernels read it") {
  CHECK(packed_single(0, 4)[0] == 0x0F);
  CHECK(packed_single(31, 4)[31] == 0x0F);
  CHECK(packed_single(32, 4)[0] == 0xF0);
  CHECK(packed_single(0, 2)[0] == 0x03);
  CHECK(packed_single(16, 2)[0] == 0x0C);
  CHECK(packed_single(63, 2)[15] == 0xC0);
  CHECK(packed_single(0, 1)[0] == 0x01);
  CHECK(packed_single(1, 1)[0] == 0x02);
  CHECK(packed_single(63, 1)[7] == 0x80);
  CHECK(packed_single(63, 8)[63] == 0xFF);
}

TEST_CASE("nothing is packed into no dimensions") {
  std::uint8_t untouched = 7;
  pack_codes(nullptr, 0, 4, &untouched);
  unpack_codes(nullptr, 0, 4, &untouched);
  CHECK(untouched == 7);
}

}  // namespace
}  // namespace vdb
