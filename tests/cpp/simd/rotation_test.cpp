// The steps alone, at lengths a Rotation never uses; tests/cpp/core/rotation_test.cpp has the whole.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

std::vector<float> random_row(std::size_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> row(n);
  for (float& value : row) value = static_cast<float>(random.normal());
  return row;
}

bool bit_equal(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Entry (i, j) of the matrix is -1 where i & j has an odd number of bits.
std::vector<double> transformed(const std::vector<float>& row) {
  std::vector<double> out(row.size());
  for (std::size_t i = 0; i < row.size(); ++i) {
    for (std::size_t j = 0; j < row.size(); ++j) out[i] += (std::popcount(i & j) % 2 == 0 ? 1 : -1) * double{row[j]};
    out[i] /= std::sqrt(static_cast<double>(row.size()));
  }
  return out;
}

TEST_CASE("every level transforms every power of two as the Hadamard matrix does, with the same bits") {
  for (std::size_t n = 1; n <= 2048; n *= 2) {
    CAPTURE(n);
    const std::vector<float> row = random_row(n, n);
    const std::vector<double> exact = transformed(row);
    std::vector<float> reference = row;
    kernels_for(Isa::kScalar).rotation.hadamard(reference.data(), n);
    double worst = 0;
    for (std::size_t i = 0; i < n; ++i) worst = std::max(worst, std::abs(double{reference[i]} - exact[i]));
    CHECK(worst < 5e-6);
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      std::vector<float> out = row;
      kernels_for(isa).rotation.hadamard(out.data(), n);
      CHECK(bit_equal(out, reference));
    }
  }
}

TEST_CASE("every level negates exactly the values whose sign bit is set, zeros too") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    for (std::size_t n = 0; n <= 200; ++n) {
      std::vector<float> row = random_row(n, n);
      if (n > 3) row[3] = 0.0F;
      Random random(n);
      const std::vector<std::uint64_t> signs{random.next(), random.next(), random.next(), random.next()};
      std::vector<float> expected = row;
      for (std::size_t i = 0; i < n; ++i) {
        if ((signs[i / 64] >> (i % 64) & 1U) != 0) expected[i] = -expected[i];
      }
      kernels_for(isa).rotation.flip_signs(row.data(), signs.data(), n);
      CHECK(bit_equal(row, expected));
    }
  }
}

TEST_CASE("every level mixes the halves of any even length") {
  for (const Isa isa : available_isas()) {
    CAPTURE(name_of(isa));
    for (std::size_t n = 0; n <= 200; n += 2) {
      std::vector<float> row = random_row(n, n);
      std::vector<float> expected(n);
      for (std::size_t i = 0; i < n / 2; ++i) {
        expected[i] = (row[i] + row[n / 2 + i]) * 0.70710678F;
        expected[n / 2 + i] = (row[i] - row[n / 2 + i]) * 0.70710678F;
      }
      kernels_for(isa).rotation.mix(row.data(), n);
      CHECK(bit_equal(row, expected));
    }
  }
}

}  // namespace
}  // namespace vdb
