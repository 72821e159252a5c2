#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "core/code_packing.h"
#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kQueries = 7;     // a group of any size up to six, and some over
constexpr std::size_t kMaxDim = 65536;  // the bound of the contract
constexpr std::size_t kGap = 7;         // bytes between rows, so that they are unaligned
constexpr unsigned kWidths[] = {8, 4, 2, 1};

const CodeKernels::Forms& forms_of(const CodeKernels& kernels, unsigned bits) {
  switch (bits) {
    case 8: return kernels.u8;
    case 4: return kernels.u4;
    case 2: return kernels.u2;
    default: return kernels.u1;
  }
}

// Packed rows at an odd stride from an odd address, and queries, with the values they were made of. Bytes between the
// rows are not zero: a kernel that reads them is found out.
struct Case {
  Case(std::size_t rows, std::size_t its_dim, unsigned its_bits)
      : n(rows),
        dim(its_dim),
        bits(its_bits),
        stride(packed_bytes(dim, bits) + kGap),
        values(n * dim),
        packed(1 + n * stride - (n == 0 ? 0 : kGap), 0xFF),
        queries(1 + kQueries * dim) {}

  void pack() {
    for (std::size_t i = 0; i < n; ++i) pack_codes(values.data() + i * dim, dim, bits, packed.data() + 1 + i * stride);
  }

  CodeRows rows() const { return {packed.data() + 1, n, stride}; }
  const std::uint8_t* row(std::size_t i) const { return packed.data() + 1 + i * stride; }
  const std::int8_t* query(std::size_t q) const { return queries.data() + 1 + q * dim; }

  std::int64_t exact(std::size_t q, std::size_t i) const {
    std::int64_t sum = 0;
    for (std::size_t d = 0; d < dim; ++d) sum += std::int64_t{values[i * dim + d]} * query(q)[d];
    return sum;
  }

  std::size_t n;
  std::size_t dim;
  unsigned bits;
  std::size_t stride;
  std::vector<std::uint8_t> values;
  std::vector<std::uint8_t> packed;
  std::vector<std::int8_t> queries;
};

Case random_case(std::size_t n, std::size_t dim, unsigned bits) {
  Case made(n, dim, bits);
  Random random(dim * 100 + n * 10 + bits);
  for (std::uint8_t& value : made.values) value = static_cast<std::uint8_t>(random.below(std::size_t{1} << bits));
  for (std::int8_t& value : made.queries) value = static_cast<std::int8_t>(static_cast<int>(random.below(256)) - 128);
  made.pack();
  return made;
}

// Number of products that are wrong in any form.
std::size_t count_wrong(const CodeKernels::Forms& forms, const Case& made) {
  std::vector<std::int64_t> exact;
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t i = 0; i < made.n; ++i) exact.push_back(made.exact(q, i));
  }
  std::vector<std::int32_t> by_tile(exact.size() + 1, 0);
  std::vector<std::int32_t> by_block(made.n);
  forms.tile(made.rows(), made.query(0), kQueries, made.dim, by_tile.data());
  std::size_t wrong = by_tile.back() == 0 ? 0 : 1;  // written past the end
  for (std::size_t q = 0; q < kQueries; ++q) {
    forms.block(made.rows(), made.query(q), made.dim, by_block.data());
    for (std::size_t i = 0; i < made.n; ++i) {
      const std::int64_t expected = exact[q * made.n + i];
      const std::uint8_t* const gathered[4] = {made.row(i), made.row(made.n - 1), made.row(0), made.row(i)};
      std::int32_t by_x4[4];
      forms.x4(gathered, made.query(q), made.dim, by_x4);
      wrong += by_tile[q * made.n + i] == expected && by_block[i] == expected && by_x4[0] == expected &&
                       by_x4[3] == expected && by_x4[1] == exact[q * made.n + made.n - 1] &&
                       by_x4[2] == exact[q * made.n] && forms.pair(made.row(i), made.query(q), made.dim) == expected
                   ? 0U
                   : 1U;
    }
  }
  return wrong;
}

TEST_CASE("every form of every level is the exact product, for any number of rows at any address") {
  for (const unsigned bits : kWidths) {
    for (const std::size_t dim : {64U, 128U, 192U, 256U, 320U, 384U, 1024U, 1088U}) {
      for (std::size_t n = 0; n <= 9; ++n) {
        const Case made = random_case(n, dim, bits);
        for (const Isa isa : available_isas()) {
          CAPTURE(name_of(isa));
          CAPTURE(bits);
          CAPTURE(dim);
          CAPTURE(n);
          CHECK(count_wrong(forms_of(kernels_for(isa).code, bits), made) == 0);
        }
      }
    }
  }
}

TEST_CASE("a tile of more rows than a chunk holds is exact") {
  for (const unsigned bits : kWidths) {
    const Case made = random_case(2 * 16384 / packed_bytes(64, bits) / 8 + 3, 512, bits);
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      CAPTURE(bits);
      CHECK(count_wrong(forms_of(kernels_for(isa).code, bits), made) == 0);
    }
  }
}

TEST_CASE("products of the largest values at 65,536 dimensions do not overflow") {
  for (const unsigned bits : kWidths) {
    for (const int value : {-128, 127}) {
      Case made(5, kMaxDim, bits);
      made.values.assign(made.values.size(), static_cast<std::uint8_t>((1U << bits) - 1U));
      made.queries.assign(made.queries.size(), static_cast<std::int8_t>(value));
      made.pack();
      for (const Isa isa : available_isas()) {
        CAPTURE(name_of(isa));
        CAPTURE(bits);
        CAPTURE(value);
        CHECK(count_wrong(forms_of(kernels_for(isa).code, bits), made) == 0);
      }
    }
  }
}

TEST_CASE("the extremes beside each other do not saturate") {
  for (const unsigned bits : kWidths) {
    Case made(5, 128, bits);
    const auto largest = static_cast<std::uint8_t>((1U << bits) - 1U);
    for (std::size_t i = 0; i < made.values.size(); ++i) made.values[i] = i % 3 == 0 ? std::uint8_t{0} : largest;
    for (std::size_t i = 0; i < made.queries.size(); ++i) made.queries[i] = i / 5 % 2 == 0 ? -128 : 127;
    made.pack();
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      CAPTURE(bits);
      CHECK(count_wrong(forms_of(kernels_for(isa).code, bits), made) == 0);
    }
  }
}

TEST_CASE("each dimension counts once, at the place of its code") {
  constexpr std::size_t kDim = 192;
  for (const unsigned bits : kWidths) {
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      CAPTURE(bits);
      std::size_t wrong = 0;
      for (std::size_t d = 0; d < kDim; ++d) {
        Case made(1, kDim, bits);
        for (std::size_t i = 0; i < kDim; ++i)
          made.values[i] = static_cast<std::uint8_t>(i % 255 & ((1U << bits) - 1U));
        made.queries[1 + d] = -3;
        made.pack();
        const std::int32_t product = forms_of(kernels_for(isa).code, bits).pair(made.row(0), made.query(0), kDim);
        wrong += product == -3 * made.values[d] ? 0U : 1U;
      }
      CHECK(wrong == 0);
    }
  }
}

}  // namespace
}  // namespace vdb
