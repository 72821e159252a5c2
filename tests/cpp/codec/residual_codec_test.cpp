// The codecs of lists: what their bounds say about distances, and what comes back of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/half.h"
#include "codec/residual_product.h"
#include "codec/residual_signs.h"
#include "data.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kRows = 32;  // one block
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows around a centroid, and queries.
struct Cloud {
  explicit Cloud(std::size_t its_dim, std::uint64_t seed = 1) : dim(its_dim), centroid(dim), rows(kRows * dim) {
    Random random(seed);
    for (float& value : centroid) value = static_cast<float>(random.normal());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] = centroid[i % dim] + static_cast<float>(0.5 * random.normal());
    }
  }

  const float* row(std::size_t i) const { return rows.data() + i * dim; }
  std::vector<float> query(std::uint64_t seed) const {
    Random random(seed);
    std::vector<float> values(dim);
    for (std::size_t d = 0; d < dim; ++d) values[d] = centroid[d] + static_cast<float>(random.normal());
    return values;
  }
  std::vector<float> residuals() const {
    std::vector<float> values(rows);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] -= centroid[i % dim];
    return values;
  }

  std::size_t dim;
  std::vector<float> centroid;
  std::vector<float> rows;
};

double distance(const float* a, const float* b, std::size_t dim, bool l2) {
  double sum = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double difference = double{a[d]} - double{b[d]};
    sum += l2 ? difference * difference : -double{a[d]} * double{b[d]};
  }
  return sum;
}

// The codes of a cloud as a block.
template <class Codec>
struct Block {
  Block(const Codec& codec, const Cloud& cloud)
      : codes(kRows * codec.code_bytes()), extra(kRows * codec.extra_bytes()) {
    typename Codec::Encoder encoder(codec);
    std::vector<std::uint8_t> code(codec.code_bytes());
    for (std::size_t i = 0; i < kRows; ++i) {
      ResidualFactors found{};
      encoder.encode(cloud.row(i), cloud.centroid.data(), {code.data(), &found, extra_of(codec, i)});
      factors[i] = to_bfloat16(found.add);
      factors[kRows + i] = to_bfloat16(found.multiply);
      for (std::size_t j = 0; j < code.size(); ++j) {
        codes[codec.interleaved() ? kRows * j + i : code.size() * i + j] = code[j];
      }
    }
  }
  std::uint8_t* extra_of(const Codec& codec, std::size_t i) { return extra.data() + i * codec.extra_bytes(); }
  ListBlock view() const { return {codes.data(), factors.data()}; }

  std::vector<std::uint8_t> codes;
  std::array<std::uint16_t, 2 * kRows> factors{};
  std::vector<std::uint8_t> extra;
};

ListTerms terms_of(const Cloud& cloud, const std::vector<float>& query, bool l2) {
  const double squared = distance(query.data(), cloud.centroid.data(), cloud.dim, true);
  return {static_cast<float>(distance(query.data(), cloud.centroid.data(), cloud.dim, l2)),
          static_cast<float>(std::sqrt(squared))};
}

// How far estimates are off, in deviations, over some queries: mean, and root of the mean square.
struct Spread {
  double mean;
  double deviation;
};

template <class Codec>
Spread spread_of(const Codec& codec, const Cloud& cloud, bool l2) {
  const Block<Codec> block(codec, cloud);
  typename Codec::Query query(codec);
  double sum = 0;
  double squares = 0;
  double n = 0;
  for (std::uint64_t seed = 10; seed < 60; ++seed) {
    const std::vector<float> values = cloud.query(seed);
    query.bind(values.data());
    std::array<float, kRows> bounds;
    std::array<float, kRows> estimates;
    query.enter(terms_of(cloud, values, l2), 0);
    CHECK(query.estimate(block.view(), kInfinity, estimates.data()) == ~0U);
    query.enter(terms_of(cloud, values, l2), 1);
    query.estimate(block.view(), kInfinity, bounds.data());
    for (std::size_t i = 0; i < kRows; ++i) {
      const double margin = double{query.margin(from_bfloat16(block.factors[kRows + i]))};
      CHECK(double{bounds[i]} == doctest::Approx(double{estimates[i]} - margin).epsilon(1e-4));
      const double exact = distance(values.data(), cloud.row(i), cloud.dim, l2);
      const double error = (double{estimates[i]} - exact) / margin;
      sum += error;
      squares += error * error;
      ++n;
    }
    const float threshold = estimates[3];
    query.enter(terms_of(cloud, values, l2), 0);
    const std::uint32_t nearer = query.estimate(block.view(), threshold, bounds.data());
    for (std::size_t i = 0; i < kRows; ++i) CHECK((nearer >> i & 1U) == (estimates[i] < threshold ? 1U : 0U));
  }
  return {sum / n, std::sqrt(squares / n)};
}

ResidualProduct product_codec(const Cloud& cloud, const ResidualProduct::Params& params) {
  // Many rows of the kind, so that a codebook learns the kind and not the rows.
  std::vector<float> sample;
  for (std::uint64_t seed = 100; seed < 140; ++seed) {
    const std::vector<float> some = Cloud(cloud.dim, seed).residuals();
    sample.insert(sample.end(), some.begin(), some.end());
  }
  const std::vector<std::uint32_t> lists(sample.size() / cloud.dim, 0);
  return ResidualProduct::train({{sample.data(), lists.size(), cloud.dim}, lists}, std::vector<float>(cloud.dim, 0.25F),
                                params, nullptr);
}

TEST_CASE("estimates by signs are unbiased and off by what their deviation says") {
  for (const bool l2 : {true, false}) {
    for (const std::size_t dim : {64U, 100U, 384U}) {
      const Cloud cloud(dim);
      const ResidualSigns codec({dim, l2, 1, 7}, std::vector<float>(dim, 0.25F));
      const Spread spread = spread_of(codec, cloud, l2);
      CHECK(std::abs(spread.mean) < 0.15);
      CHECK(spread.deviation > 0.8);
      CHECK(spread.deviation < 1.25);
    }
  }
}

TEST_CASE("estimates by product codes are unbiased and off by what their deviation says") {
  for (const bool l2 : {true, false}) {
    const Cloud cloud(96);
    for (const ResidualProduct::Params& params :
         {ResidualProduct::Params{l2, 24, 4, false, 1, 1}, ResidualProduct::Params{l2, 25, 4, true, 1, 1},
          ResidualProduct::Params{l2, 13, 8, false, 1, 1}}) {
      CAPTURE(params.m);
      const Spread spread = spread_of(product_codec(cloud, params), cloud, l2);
      CHECK(std::abs(spread.mean) < 0.15);
      CHECK(spread.deviation > 0.6);
      CHECK(spread.deviation < 1.4);
    }
  }
}

TEST_CASE("more bits bring an estimate nearer, and it stays within its error") {
  const Cloud cloud(200);
  for (const bool l2 : {true, false}) {
    double before = kInfinity;
    for (const std::size_t bits : {2U, 3U, 5U, 8U}) {
      CAPTURE(bits);
      const ResidualSigns codec({cloud.dim, l2, bits, 7}, std::vector<float>(cloud.dim, 0.25F));
      Block<ResidualSigns> block(codec, cloud);
      ResidualSigns::Query query(codec);
      double squares = 0;
      std::size_t within = 0;
      std::size_t n = 0;
      for (std::uint64_t seed = 10; seed < 40; ++seed) {
        const std::vector<float> values = cloud.query(seed);
        query.bind(values.data());
        query.enter(terms_of(cloud, values, l2), 1.6F);
        for (std::size_t i = 0; i < kRows; ++i, ++n) {
          const Estimate found = query.refine(block.codes.data(), i, block.extra_of(codec, i));
          const double error = double{found.distance} - distance(values.data(), cloud.row(i), cloud.dim, l2);
          squares += error * error;
          within += std::abs(error) <= double{found.error} ? 1U : 0U;
        }
      }
      CHECK(static_cast<double>(within) > 0.9 * static_cast<double>(n));
      CHECK(squares < before / 2);
      before = squares;
    }
  }
}

TEST_CASE("a row at its centroid is exact, and one that no float can square is never far") {
  const std::vector<float> centroid{1, 2, 3, 4, 5};
  std::vector<float> huge(centroid);
  huge[1] = 3e30F;
  const Cloud cloud(5);
  const ResidualProduct products = product_codec(cloud, {true, 3, 4, false, 1, 1});
  const ResidualSigns signs({5, true, 3, 7}, {0, 0, 0, 0, 0});
  const auto check = [&](const auto& codec) {
    using Codec = std::decay_t<decltype(codec)>;
    typename Codec::Encoder encoder(codec);
    std::vector<std::uint8_t> code(codec.code_bytes());
    std::vector<std::uint8_t> extra(codec.extra_bytes());
    ResidualFactors factors{};
    encoder.encode(centroid.data(), centroid.data(), {code.data(), &factors, extra.data()});
    CHECK(factors.add == 0);
    CHECK(factors.multiply == 0);
    encoder.encode(huge.data(), centroid.data(), {code.data(), &factors, extra.data()});
    CHECK(factors.add == unknown_row().add);
    CHECK(factors.multiply == 0);
  };
  check(products);
  check(signs);
}

TEST_CASE("codecs come back, and bytes that are none are refused") {
  const Cloud cloud(20);
  const ResidualSigns signs({20, false, 4, 9}, std::vector<float>(20, 0.5F));
  const ResidualProduct products = product_codec(cloud, {true, 5, 4, true, 1, 1});
  const auto check = [&](const auto& codec) {
    using Codec = std::decay_t<decltype(codec)>;
    const std::vector<unsigned char> bytes = codec.serialize();
    const Codec loaded = Codec::deserialize(bytes);
    CHECK(loaded.serialize() == bytes);
    CHECK((Block<Codec>(loaded, cloud).codes == Block<Codec>(codec, cloud).codes));
    for (std::size_t size = 0; size < bytes.size(); size += 7) {
      CHECK_THROWS_AS(Codec::deserialize(Bytes(bytes).first(size)), InvalidArgument);
    }
    std::vector<unsigned char> longer(bytes);
    longer.push_back(0);
    CHECK_THROWS_AS(Codec::deserialize(longer), InvalidArgument);
  };
  check(signs);
  check(products);
  CHECK_THROWS_AS(ResidualSigns({20, true, 9, 1}, std::vector<float>(20)), InvalidArgument);
  CHECK_THROWS_AS(ResidualSigns({20, true, 0, 1}, std::vector<float>(20)), InvalidArgument);
  CHECK_THROWS_AS(ResidualSigns({20, true, 1, 1}, std::vector<float>(19)), InvalidArgument);
  CHECK_THROWS_AS(ResidualSigns({2, true, 1, 1}, {1, kInfinity}), InvalidArgument);
}

}  // namespace
}  // namespace vdb
