#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kGap = 3;    // bytes between records, so that they are unaligned
constexpr std::size_t kRoom = 16;  // what the distances of any number of slots may write beyond themselves

// Records of 1-bit codes with random factors at an odd stride, and a query of random planes.
struct Case {
  Case(std::size_t its_words, std::size_t its_bits, std::size_t centroids)
      : words(its_words),
        bits(its_bits),
        stride(words * sizeof(std::uint64_t) + sizeof(BitCodeKernels::Factors) + kGap),
        records(kRows * stride - kGap),
        planes(bits * words),
        centroid_adds(std::max(centroids, BitCodeKernels::DistanceQuery::kRoom)),
        centroid_mask(static_cast<std::uint32_t>(centroids - 1)) {
    Random random(words * 1000 + bits * 10 + centroids);
    for (std::uint8_t& byte : records) byte = static_cast<std::uint8_t>(random.below(256));
    for (std::uint64_t& word : planes) word = random.next();
    for (float& value : centroid_adds) value = static_cast<float>(random.normal());
    for (std::size_t i = 0; i < kRows; ++i) {
      // Centroids beyond the last among them: the mask confines them.
      set(i, {static_cast<float>(random.normal()), static_cast<float>(random.normal()), 0,
              static_cast<std::uint16_t>(random.below(65536)), static_cast<std::uint16_t>(random.below(65536))});
    }
  }

  CodeRows rows() const { return {records.data(), kRows, stride}; }
  const std::uint8_t* record(std::size_t i) const { return records.data() + i * stride; }
  std::size_t factors_at(std::size_t i) const { return i * stride + words * sizeof(std::uint64_t); }
  void set(std::size_t i, const BitCodeKernels::Factors& factors) {
    std::memcpy(records.data() + factors_at(i), &factors, sizeof factors);
  }
  BitCodeKernels::DistanceQuery query() const {
    return {{planes.data(), bits, words}, centroid_adds.data(), centroid_mask, 0.03F, -0.2F, 1.5F};
  }
  std::vector<float> distances(const Kernels& kernels, const std::vector<std::uint32_t>& slots) const {
    std::vector<float> out(slots.size() + kRoom);
    kernels.bit_code.distances(rows(), slots.data(), slots.size(), query(), out.data());
    out.resize(slots.size());
    return out;
  }

  // The distance in float64, and what float32 may lose of it.
  double exact(std::size_t i, double* tolerance) const {
    double product = 0;
    for (std::size_t j = 0; j < bits; ++j) {
      for (std::size_t w = 0; w < words; ++w) {
        std::uint64_t code;
        std::memcpy(&code, record(i) + w * sizeof code, sizeof code);
        product += std::ldexp(std::popcount(code & planes[j * words + w]), static_cast<int>(j));
      }
    }
    BitCodeKernels::Factors row;
    std::memcpy(&row, records.data() + factors_at(i), sizeof row);
    const BitCodeKernels::DistanceQuery of = query();
    const double terms[] = {double{of.scale} * product, double{of.offset} * row.ones, double{of.base}};
    const double add = double{row.add} + double{centroid_adds[row.centroid & centroid_mask]};
    const double rescale = double{row.rescale};
    *tolerance = 1e-6 * (std::abs(double{row.add}) + 10 + std::abs(rescale) * (terms[0] - terms[1] + terms[2]));
    return add + rescale * (terms[0] + terms[1] + terms[2]);
  }

  static constexpr std::size_t kRows = 21;
  std::size_t words;
  std::size_t bits;
  std::size_t stride;
  std::vector<std::uint8_t> records;
  std::vector<std::uint64_t> planes;
  std::vector<float> centroid_adds;
  std::uint32_t centroid_mask;
};

TEST_CASE("gathered distances of every level are those of float64, for any planes, words, centroids and slots") {
  for (std::size_t bits = 1; bits <= 8; ++bits) {
    for (const std::size_t words : {1U, 2U, 3U, 6U, 7U, 8U, 9U, 12U, 16U, 17U, 64U}) {
      for (const std::size_t centroids : {1U, 4U, 16U, 64U}) {
        const Case made(words, bits, centroids);
        for (std::size_t n = 0; n <= 18; ++n) {
          Random random(n);
          std::vector<std::uint32_t> slots(n);
          for (std::uint32_t& slot : slots) slot = static_cast<std::uint32_t>(random.below(Case::kRows));
          if (n > 0) slots[n / 2] = Case::kRows - 1;  // the end of the records, behind which nothing may be read
          for (const Isa isa : available_isas()) {
            const std::vector<float> got = made.distances(kernels_for(isa), slots);
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < n; ++i) {
              double tolerance;
              const double expected = made.exact(slots[i], &tolerance);
              wrong += std::abs(double{got[i]} - expected) <= tolerance ? 0U : 1U;
            }
            CAPTURE(name_of(isa));
            CAPTURE(bits);
            CAPTURE(words);
            CAPTURE(centroids);
            CAPTURE(n);
            CHECK(wrong == 0);
          }
        }
      }
    }
  }
}

TEST_CASE("a record has the same distance to the bit wherever its slot stands and however many there are") {
  for (const std::size_t words : {6U, 16U}) {
    const Case made(words, 4, 16);
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      const float alone = made.distances(kernels_for(isa), {7}).front();
      for (std::size_t n = 1; n <= 33; ++n) {
        for (std::size_t at = 0; at < n; ++at) {
          std::vector<std::uint32_t> slots(n);
          for (std::size_t i = 0; i < n; ++i) slots[i] = static_cast<std::uint32_t>((i * 5 + n) % Case::kRows);
          slots[at] = 7;
          CHECK(made.distances(kernels_for(isa), slots)[at] == alone);
        }
      }
    }
  }
}

TEST_CASE("the greatest product of 65,536 dimensions is gathered without overflow") {
  constexpr std::size_t kWords = 1024;
  Case made(kWords, 8, 1);
  std::memset(made.records.data(), 0xFF, made.records.size());
  for (std::uint64_t& word : made.planes) word = ~std::uint64_t{0};
  for (std::size_t i = 0; i < Case::kRows; ++i) made.set(i, {0, 1, 0, 0, 0});
  double tolerance;
  const double expected = made.exact(0, &tolerance);
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    for (const float got : made.distances(kernels_for(isa), {0, 20, 3})) {
      CHECK(std::abs(double{got} - expected) <= tolerance);
    }
  }
}

TEST_CASE("values are cut into planes at every level, and what stood in the planes is gone") {
  for (const std::size_t words : {1U, 2U, 6U, 9U}) {
    Random random(words);
    for (std::size_t bits = 1; bits <= 8; ++bits) {
      std::vector<std::uint8_t> values(words * 64);
      for (std::uint8_t& value : values) value = static_cast<std::uint8_t>(random.below(std::size_t{1} << bits));
      for (const Isa isa : available_isas()) {
        std::vector<std::uint64_t> planes(bits * words + 1, 0x5A5A5A5A5A5A5A5AU);
        kernels_for(isa).bit_code.cut(values.data(), bits, words, planes.data());
        std::size_t wrong = planes.back() == 0x5A5A5A5A5A5A5A5AU ? 0 : 1;
        for (std::size_t i = 0; i < values.size(); ++i) {
          for (std::size_t p = 0; p < bits; ++p) {
            wrong += (planes[p * words + i / 64] >> i % 64 & 1U) == (values[i] >> p & 1U) ? 0U : 1U;
          }
        }
        CAPTURE(name_of(isa));
        CAPTURE(bits);
        CHECK(wrong == 0);
      }
    }
  }
}

}  // namespace
}  // namespace vdb
