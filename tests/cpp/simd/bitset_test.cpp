#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;
using Words = std::vector<std::uint64_t>;

// Around the widths of two registers of every level, and long enough for many rounds.
constexpr std::size_t kMostWords = 70;

// About `share` of the bits set; 0 and 1 give empty and full words.
Words some_words(std::size_t n, double share, std::uint64_t seed) {
  Random random(seed);
  Words words(n);
  for (std::uint64_t& word : words) {
    for (std::size_t bit = 0; bit < 64; ++bit) word |= std::uint64_t{random.unit() <= share} << bit;
  }
  return words;
}

constexpr double kShares[] = {0, 0.01, 0.1, 0.5, 0.9, 1};

std::size_t bits(const Words& words) {
  std::size_t sum = 0;
  for (const std::uint64_t word : words) sum += static_cast<std::size_t>(std::popcount(word));
  return sum;
}

TEST_CASE("every level counts the bits of any number of words") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    const BitsetKernels& k = kernels_for(isa).bitset;
    for (const double share : kShares) {
      for (std::size_t n = 0; n <= kMostWords; ++n) {
        const Words words = some_words(n, share, n);
        CHECK(k.count(words.data(), n) == bits(words));
      }
    }
    const Words full(100'000, ~std::uint64_t{0});
    CHECK(k.count(full.data(), full.size()) == 6'400'000);
  }
}

struct Operation {
  const char* name;
  BitsetKernels::Binary BitsetKernels::* kernel;
  std::uint64_t (*word)(std::uint64_t a, std::uint64_t b);
};

constexpr Operation kOperations[] = {
    {"and", &BitsetKernels::bit_and, [](std::uint64_t a, std::uint64_t b) { return a & b; }},
    {"or", &BitsetKernels::bit_or, [](std::uint64_t a, std::uint64_t b) { return a | b; }},
    {"andnot", &BitsetKernels::bit_andnot, [](std::uint64_t a, std::uint64_t b) { return a & ~b; }},
};

TEST_CASE("every level combines bitmaps and counts the result, into either side as well") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    for (const Operation& operation : kOperations) {
      CAPTURE(operation.name);
      const auto kernel = kernels_for(isa).bitset.*operation.kernel;
      for (std::size_t n = 0; n <= kMostWords; ++n) {
        const Words a = some_words(n, 0.4, n);
        const Words b = some_words(n, 0.7, n + 1000);
        Words expected(n);
        for (std::size_t i = 0; i < n; ++i) expected[i] = operation.word(a[i], b[i]);
        Words out(n, 99);
        Words into_a = a;
        Words into_b = b;
        CHECK(kernel(a.data(), b.data(), n, out.data()) == bits(expected));
        CHECK(kernel(into_a.data(), b.data(), n, into_a.data()) == bits(expected));
        CHECK(kernel(a.data(), into_b.data(), n, into_b.data()) == bits(expected));
        CHECK(out == expected);
        CHECK(into_a == expected);
        CHECK(into_b == expected);
      }
    }
  }
}

// The list, and nothing written behind its slack.
bool lists(const BitsetKernels& k, const Words& words, std::uint32_t first) {
  constexpr std::size_t kGuards = 64;
  constexpr std::uint32_t kGuard = 0xabcdef01U;
  std::vector<std::uint32_t> expected;
  for (std::size_t i = 0; i < 64 * words.size(); ++i) {
    if ((words[i / 64] >> (i % 64) & 1U) != 0) expected.push_back(first + static_cast<std::uint32_t>(i));
  }
  const std::size_t room = expected.size() + BitsetKernels::kListSlack;
  std::vector<std::uint32_t> out(room + kGuards, kGuard);
  if (k.list(words.data(), words.size(), first, out.data()) != expected.size()) return false;
  for (std::size_t i = room; i < out.size(); ++i) {
    if (out[i] != kGuard) return false;
  }
  out.resize(expected.size());
  return out == expected;
}

TEST_CASE("every level lists the set bits of any number of words, ascending") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    const BitsetKernels& k = kernels_for(isa).bitset;
    for (const double share : kShares) {
      CAPTURE(share);
      for (const std::size_t n : {0, 1, 2, 3, 7, 8, 9, 33}) {
        CHECK(lists(k, some_words(n, share, n + 7), 0));
        CHECK(lists(k, some_words(n, share, n + 8), 1'000'003));
      }
    }
    const std::size_t n = 4;
    const auto last = static_cast<std::uint32_t>(std::numeric_limits<std::uint32_t>::max() - 64 * n);
    CHECK(lists(k, some_words(n, 0.5, 1), last));
  }
}

TEST_CASE("every level looks up bits below the limit, and none from it on") {
  constexpr std::size_t kWords = 9;
  Random random(3);
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    const BitsetKernels& k = kernels_for(isa).bitset;
    for (const double share : kShares) {
      const Words words = some_words(kWords, share, 5);
      for (const std::uint32_t limit : {0U, 1U, 63U, 300U, 64U * std::uint32_t{kWords}}) {
        std::uint32_t values[BitsetKernels::kLookedUp];
        std::uint32_t expected = 0;
        for (std::size_t i = 0; i < BitsetKernels::kLookedUp; ++i) {
          values[i] = i % 8 == 7 ? ~0U - static_cast<std::uint32_t>(i) : static_cast<std::uint32_t>(random.below(640));
          const bool set = values[i] < limit && (words[values[i] / 64] >> (values[i] % 64) & 1U) != 0;
          expected |= (set ? 1U : 0U) << i;
        }
        CHECK(k.look_up(words.data(), values, limit) == expected);
      }
    }
  }
}

TEST_CASE("every level lists each run and each single bit of a word") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    const BitsetKernels& k = kernels_for(isa).bitset;
    std::size_t wrong = 0;
    for (std::size_t length = 1; length <= 64; ++length) {
      for (std::size_t at = 0; at + length <= 64; ++at) {
        const std::uint64_t run = (~std::uint64_t{0} >> (64 - length)) << at;
        wrong += lists(k, {run, 0, run}, 64) ? 0U : 1U;
      }
    }
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace vdb
