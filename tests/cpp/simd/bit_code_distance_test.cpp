#include <doctest/doctest.h>

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kMaxWords = 1024;  // 65,536 dimensions, the bound of the contract
constexpr std::size_t kGap = 5;          // bytes between rows, so that they are unaligned

// 1-bit rows at an odd stride from an odd address, and the planes of a query. Bytes between the rows are not zero.
struct Case {
  Case(std::size_t rows, std::size_t its_words, std::size_t its_bits)
      : n(rows),
        words(its_words),
        bits(its_bits),
        stride(words * sizeof(std::uint64_t) + kGap),
        packed(1 + n * stride - (n == 0 ? 0 : kGap), 0xFF),
        planes(bits * words) {}

  CodeRows rows() const { return {packed.data() + 1, n, stride}; }
  const std::uint8_t* row(std::size_t i) const { return packed.data() + 1 + i * stride; }
  BitCodeKernels::Query query() const { return {planes.data(), bits, words}; }

  std::uint64_t exact(std::size_t i) const {
    std::uint64_t sum = 0;
    for (std::size_t j = 0; j < bits; ++j) {
      for (std::size_t w = 0; w < words; ++w) {
        std::uint64_t code;
        std::memcpy(&code, row(i) + w * sizeof code, sizeof code);
        sum += static_cast<std::uint64_t>(std::popcount(code & planes[j * words + w])) << j;
      }
    }
    return sum;
  }

  std::size_t n;
  std::size_t words;
  std::size_t bits;
  std::size_t stride;
  std::vector<std::uint8_t> packed;
  std::vector<std::uint64_t> planes;
};

Case random_case(std::size_t n, std::size_t words, std::size_t bits) {
  Case made(n, words, bits);
  Random random(words * 100 + n * 10 + bits);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t b = 0; b < words * sizeof(std::uint64_t); ++b) {
      made.packed[1 + i * made.stride + b] = static_cast<std::uint8_t>(random.below(256));
    }
  }
  for (std::uint64_t& word : made.planes) word = random.next();
  return made;
}

// Number of products that are wrong in any form.
std::size_t count_wrong(const BitCodeKernels& kernels, const Case& made) {
  std::vector<std::uint32_t> by_block(made.n + 1, 0);
  kernels.block(made.rows(), made.query(), by_block.data());
  std::size_t wrong = by_block.back() == 0 ? 0 : 1;  // written past the end
  for (std::size_t i = 0; i < made.n; ++i) {
    const std::uint64_t expected = made.exact(i);
    const std::uint8_t* const gathered[4] = {made.row(i), made.row(made.n - 1), made.row(0), made.row(i)};
    std::uint32_t by_x4[4];
    kernels.x4(gathered, made.query(), by_x4);
    wrong += by_block[i] == expected && kernels.pair(made.row(i), made.query()) == expected && by_x4[0] == expected &&
                     by_x4[1] == made.exact(made.n - 1) && by_x4[2] == made.exact(0) && by_x4[3] == expected
                 ? 0U
                 : 1U;
  }
  return wrong;
}

TEST_CASE("every form of every level is the exact product with 1 to 8 planes, for any number of rows and words") {
  for (std::size_t bits = 1; bits <= 8; ++bits) {
    for (const std::size_t words : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 12U, 16U, 17U, 64U, 65U}) {
      for (std::size_t n = 0; n <= 9; ++n) {
        const Case made = random_case(n, words, bits);
        for (const Isa isa : available_isas()) {
          CAPTURE(name_of(isa));
          CAPTURE(bits);
          CAPTURE(words);
          CAPTURE(n);
          CHECK(count_wrong(kernels_for(isa).bit_code, made) == 0);
        }
      }
    }
  }
}

TEST_CASE("65,536 dimensions with every bit set are counted without overflow") {
  Case made(5, kMaxWords, 8);
  std::memset(made.packed.data(), 0xFF, made.packed.size());
  for (std::uint64_t& word : made.planes) word = ~std::uint64_t{0};
  REQUIRE(made.exact(0) == std::uint64_t{kMaxWords} * 64 * 255);
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    CHECK(count_wrong(kernels_for(isa).bit_code, made) == 0);
  }
}

TEST_CASE("no rows are no products") {
  const std::uint64_t plane = ~std::uint64_t{0};
  for (const Isa isa : available_isas()) kernels_for(isa).bit_code.block({nullptr, 0, 0}, {&plane, 1, 1}, nullptr);
}

TEST_CASE("each bit counts once, with the weight of its plane") {
  constexpr std::size_t kWords = 11;
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    std::size_t wrong = 0;
    for (std::size_t bit = 0; bit < kWords * 64; ++bit) {
      Case made(1, kWords, 8);
      const std::size_t plane = bit % 8;
      made.planes[plane * kWords + bit / 64] = std::uint64_t{1} << bit % 64;
      wrong += kernels_for(isa).bit_code.pair(made.row(0), made.query()) == 1U << plane ? 0U : 1U;
    }
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace vdb
