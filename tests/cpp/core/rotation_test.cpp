#include "core/rotation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Random;

// One word, whole words, powers of two and their neighbours, the widths of common embeddings, and the limit.
constexpr std::size_t kDims[] = {1,   2,   7,    63,   64,   65,   128,  129,  191,  192,  300,    384,
                                 512, 768, 1024, 1025, 1088, 1536, 1984, 3072, 4096, 4100, 40'000, 65'535};

std::vector<float> random_row(std::size_t dim, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> row(dim);
  for (float& value : row) value = static_cast<float>(random.normal());
  return row;
}

std::vector<float> rotated(const Rotation& rotation, const std::vector<float>& row) {
  std::vector<float> out(rotation.padded_dim(), std::numeric_limits<float>::quiet_NaN());
  rotation.apply(row.data(), out.data());
  return out;
}

double inner_product(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

bool bit_equal(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST_CASE("rows are padded to whole words of a 1-bit code") {
  CHECK(Rotation(1, 0).padded_dim() == 64);
  CHECK(Rotation(64, 0).padded_dim() == 64);
  CHECK(Rotation(65, 0).padded_dim() == 128);
  CHECK(Rotation(1025, 0).padded_dim() == 1088);
  CHECK(Rotation(65'535, 0).padded_dim() == 65'536);
  CHECK(Rotation(300, 17).dim() == 300);
  CHECK(Rotation(300, 17).seed() == 17);
}

TEST_CASE("a rotation keeps lengths and inner products") {
  for (const std::size_t dim : kDims) {
    CAPTURE(dim);
    const Rotation rotation(dim, 5);
    const std::vector<float> a = random_row(dim, 1);
    const std::vector<float> b = random_row(dim, 2);
    const std::vector<float> ra = rotated(rotation, a);
    const std::vector<float> rb = rotated(rotation, b);
    const double lengths = std::sqrt(inner_product(a, a) * inner_product(b, b));
    CHECK(std::abs(inner_product(ra, ra) / inner_product(a, a) - 1) < 1e-5);
    CHECK(std::abs(inner_product(rb, rb) / inner_product(b, b) - 1) < 1e-5);
    CHECK(std::abs(inner_product(ra, rb) - inner_product(a, b)) < 1e-5 * lengths);
  }
}

TEST_CASE("the inverse brings a row back") {
  for (const std::size_t dim : kDims) {
    CAPTURE(dim);
    const Rotation rotation(dim, 6);
    const std::vector<float> row = random_row(dim, 3);
    const std::vector<float> there = rotated(rotation, row);
    std::vector<float> back(dim);
    rotation.inverse(there.data(), back.data());
    double worst = 0;
    for (std::size_t i = 0; i < dim; ++i) worst = std::max(worst, std::abs(double{back[i]} - double{row[i]}));
    CHECK(worst < 1e-5);
  }
}

TEST_CASE("a row may be rotated where it lies, and back") {
  const Rotation rotation(100, 7);
  const std::vector<float> row = random_row(100, 4);
  std::vector<float> place = row;
  place.resize(rotation.padded_dim(), 99.0F);  // what lies behind the row is not part of it
  rotation.apply(place.data(), place.data());
  CHECK(bit_equal(place, rotated(rotation, row)));
  rotation.inverse(place.data(), place.data());
  for (std::size_t i = 0; i < row.size(); ++i) CHECK(place[i] == doctest::Approx(row[i]).epsilon(1e-5));
}

TEST_CASE("every level gives the same bits") {
  for (const std::size_t dim : kDims) {
    CAPTURE(dim);
    const std::vector<float> row = random_row(dim, 8);
    const Rotation reference(dim, 9, kernels_for(Isa::kScalar).rotation);
    const std::vector<float> expected = rotated(reference, row);
    std::vector<float> back(dim);
    reference.inverse(expected.data(), back.data());
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      const Rotation rotation(dim, 9, kernels_for(isa).rotation);
      CHECK(bit_equal(rotated(rotation, row), expected));
      std::vector<float> out(dim);
      rotation.inverse(expected.data(), out.data());
      CHECK(bit_equal(out, back));
    }
  }
}

// Values computed once; a change of them would make every stored code meaningless.
TEST_CASE("the rotation of a seed never changes") {
  std::vector<float> row(300);
  for (std::size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(i % 7) - 3.0F;
  const std::vector<float> out = rotated(Rotation(300, 42), row);
  std::uint64_t hash = 0;
  for (const float value : out) hash = splitmix64(hash ^ std::bit_cast<std::uint32_t>(value));
  CHECK(hash == 7780832671159036770ULL);
}

TEST_CASE("seeds give unrelated rotations") {
  const std::vector<float> row = random_row(768, 1);
  const std::vector<float> a = rotated(Rotation(768, 1), row);
  const std::vector<float> b = rotated(Rotation(768, 2), row);
  CHECK(bit_equal(a, rotated(Rotation(768, 1), row)));
  const double cosine = inner_product(a, b) / inner_product(a, a);
  CHECK(std::abs(cosine) < 6 / std::sqrt(768.0));
}

// A uniformly random unit vector has its largest coordinate near sqrt(2 ln n / n).
TEST_CASE("the energy of a single coordinate is spread over all") {
  for (const std::size_t dim : kDims) {
    CAPTURE(dim);
    const Rotation rotation(dim, 10);
    double largest = 0;
    const std::size_t step = std::max<std::size_t>(dim / 64, 1);
    for (std::size_t axis = 0; axis < dim; axis += step) {
      std::vector<float> unit(dim);
      unit[axis] = 1.0F;
      for (const float value : rotated(rotation, unit)) largest = std::max(largest, std::abs(double{value}));
    }
    const double n = static_cast<double>(rotation.padded_dim());
    CHECK(largest < 1.5 * std::sqrt(2 * std::log(n) / n));
  }
}

TEST_CASE("zero stays zero, and values near the limits of float stay finite") {
  for (const std::size_t dim : {std::size_t{100}, std::size_t{512}, std::size_t{1000}}) {
    const Rotation rotation(dim, 11);
    for (const float value : rotated(rotation, std::vector<float>(dim, 0.0F))) CHECK(value == 0.0F);
    for (const float value : rotated(rotation, std::vector<float>(dim, 1e36F))) CHECK(std::isfinite(value));
    for (const float value : rotated(rotation, std::vector<float>(dim, 1e-44F))) CHECK(std::isfinite(value));
  }
}

TEST_CASE("dimensions outside the limits are refused") {
  CHECK_THROWS_AS(Rotation(0, 1), InvalidArgument);
  CHECK_THROWS_WITH_AS(Rotation(65'536, 1), doctest::Contains("got 65536"), InvalidArgument);
}

}  // namespace
}  // namespace vdb
