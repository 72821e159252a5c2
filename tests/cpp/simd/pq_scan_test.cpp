#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kBlockRows = 32;
constexpr std::size_t kEntries = 256;

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

std::vector<float> normal_values(std::size_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

std::vector<std::uint8_t> any_bytes(std::size_t n, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint8_t> bytes(n);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  return bytes;
}

struct Level {
  std::string name;
  PqKernels pq;
};

std::vector<Level> all_levels() {
  std::vector<Level> levels;
  for (const Isa isa : available_isas()) levels.push_back({std::string(name_of(isa)), kernels_for(isa).pq});
  return levels;
}

struct Exact {
  double l2_squared = 0;
  double product = 0;
  double magnitude = 0;  // of the product's terms
};

Exact exact_column(const float* query, const PqKernels::Columns& columns, std::size_t c) {
  Exact exact;
  for (std::size_t d = 0; d < columns.dim; ++d) {
    const double a = query[d];
    const double b = columns.data[d * columns.n + c];
    exact.l2_squared += (a - b) * (a - b);
    exact.product += a * b;
    exact.magnitude += std::abs(a * b);
  }
  return exact;
}

TEST_CASE("distances to centroids by dimension agree with float64 at every level") {
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    for (const std::size_t n : {16U, 32U, 48U, 144U, 256U}) {
      for (const std::size_t dim : {1U, 2U, 3U, 8U, 33U}) {
        const auto values = normal_values(n * dim, n + dim);
        const auto query = normal_values(dim, 7);
        const PqKernels::Columns columns{values.data(), n, dim};
        std::vector<float> l2(n);
        std::vector<float> product(n);
        level.pq.l2_squared(query.data(), columns, l2.data());
        level.pq.inner_product(query.data(), columns, product.data());
        const double rounding = static_cast<double>(dim + 3) * 0x1p-24;
        for (std::size_t c = 0; c < n; ++c) {
          const Exact exact = exact_column(query.data(), columns, c);
          CHECK(std::abs(static_cast<double>(l2[c]) - exact.l2_squared) <= rounding * exact.l2_squared);
          CHECK(std::abs(static_cast<double>(product[c]) - exact.product) <= rounding * exact.magnitude);
        }
      }
    }
  }
}

TEST_CASE("the nearest centroid is the one with the least of the level's own distances") {
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    for (const std::size_t n : {16U, 80U, 256U}) {
      for (std::uint64_t seed = 0; seed < 30; ++seed) {
        const std::size_t dim = 1 + seed % 9;
        const auto values = normal_values(n * dim, seed);
        const auto query = normal_values(dim, 1000 + seed);
        const PqKernels::Columns columns{values.data(), n, dim};
        std::vector<float> l2(n);
        level.pq.l2_squared(query.data(), columns, l2.data());
        const auto least = std::min_element(l2.begin(), l2.end());
        float distance = -1;
        CHECK(level.pq.nearest(query.data(), columns, &distance) == static_cast<std::uint32_t>(least - l2.begin()));
        CHECK(same_bits(distance, *least));
      }
    }
  }
}

TEST_CASE("of equally near centroids the first is taken, wherever they stand") {
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    constexpr std::size_t kColumns = 96;
    for (std::size_t first = 0; first < kColumns; ++first) {
      std::vector<float> values(kColumns, 5.0F);
      for (std::size_t c = first; c < kColumns; c += 7) values[c] = 1.0F;
      const float query = 1.25F;
      float distance = -1;
      CHECK(level.pq.nearest(&query, {values.data(), kColumns, 1}, &distance) == first);
      CHECK(distance == 0.0625F);
    }
  }
}

TEST_CASE("infinite and missing distances are never the nearest") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    std::vector<float> values(32, infinity);
    values[3] = nan;
    values[21] = 2.0F;
    const float query = 1.0F;
    float distance = -1;
    CHECK(level.pq.nearest(&query, {values.data(), 32, 1}, &distance) == 21);
    CHECK(distance == 1.0F);
    values[21] = 1e30F;
    CHECK(level.pq.nearest(&query, {values.data(), 32, 1}, &distance) == 0);
    CHECK(distance == infinity);
  }
}

TEST_CASE("8-bit sums agree with float64, and their three forms bit for bit") {
  constexpr std::size_t kRows = 7;
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    for (std::size_t m = 1; m <= 70; ++m) {
      CAPTURE(m);
      const auto table = normal_values(m * kEntries, m);
      const std::size_t stride = m + m % 3;
      const auto codes = any_bytes(kRows * stride, m);
      float by_block[kRows];
      level.pq.lookup8_block(table.data(), {codes.data(), kRows, stride}, m, by_block);
      const std::uint8_t* const four[4] = {codes.data() + 5 * stride, codes.data(), codes.data() + 2 * stride,
                                           codes.data()};
      float by_x4[4];
      level.pq.lookup8_x4(table.data(), four, m, by_x4);
      for (std::size_t i = 0; i < 4; ++i) CHECK(same_bits(by_x4[i], level.pq.lookup8(table.data(), four[i], m)));
      for (std::size_t r = 0; r < kRows; ++r) {
        const std::uint8_t* const code = codes.data() + r * stride;
        double exact = 0;
        double magnitude = 0;
        for (std::size_t j = 0; j < m; ++j) {
          const double entry = table[j * kEntries + code[j]];
          exact += entry;
          magnitude += std::abs(entry);
        }
        const float sum = level.pq.lookup8(table.data(), code, m);
        CHECK(std::abs(static_cast<double>(sum) - exact) <= static_cast<double>(m) * 0x1p-24 * magnitude);
        CHECK(same_bits(sum, by_block[r]));
      }
    }
  }
}

// The sums of the contract, modulo 65,536.
std::vector<std::uint16_t> scan_by_definition(const std::vector<std::uint8_t>& table,
                                              const std::vector<std::uint8_t>& blocks, std::size_t n_blocks,
                                              std::size_t m) {
  std::vector<std::uint16_t> out(n_blocks * kBlockRows);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t block = i / kBlockRows;
    unsigned sum = 0;
    for (std::size_t j = 0; j < m / 2; ++j) {
      const unsigned byte = blocks[(block * (m / 2) + j) * kBlockRows + i % kBlockRows];
      sum += table[2 * j * 16 + byte % 16] + static_cast<unsigned>(table[(2 * j + 1) * 16 + byte / 16]);
    }
    out[i] = static_cast<std::uint16_t>(sum);
  }
  return out;
}

TEST_CASE("4-bit sums are exact for any number of blocks and sub-quantisers") {
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    for (const std::size_t m : {2U, 4U, 6U, 16U, 22U, 64U, 256U, 258U, 700U}) {
      CAPTURE(m);
      for (const std::size_t n_blocks : {0U, 1U, 2U, 3U, 4U, 5U, 9U}) {
        const auto table = any_bytes(m * 16, m);
        const auto blocks = any_bytes(n_blocks * m / 2 * kBlockRows, n_blocks);
        std::vector<std::uint16_t> out(n_blocks * kBlockRows);
        level.pq.scan4(table.data(), blocks.data(), n_blocks, m, out.data());
        CHECK(out == scan_by_definition(table, blocks, n_blocks, m));
      }
    }
  }
}

TEST_CASE("the greatest sum of 256 sub-quantisers does not overflow") {
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    const std::vector<std::uint8_t> table(256 * 16, 255);
    const auto blocks = any_bytes(2 * 128 * kBlockRows, 1);
    std::vector<std::uint16_t> out(2 * kBlockRows);
    level.pq.scan4(table.data(), blocks.data(), 2, 256, out.data());
    CHECK(out == std::vector<std::uint16_t>(out.size(), 65'280));
  }
}

// A page that ends where reading is forbidden.
class GuardedPage {
 public:
  GuardedPage() : bytes_(64 * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    void* const p = ::mmap(nullptr, 2 * bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    begin_ = static_cast<std::uint8_t*>(p);
    REQUIRE(::mprotect(begin_ + bytes_, bytes_, PROT_NONE) == 0);
  }
  ~GuardedPage() { ::munmap(begin_, 2 * bytes_); }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;

  std::uint8_t* last(std::size_t n) const { return begin_ + bytes_ - n; }

 private:
  std::size_t bytes_;
  std::uint8_t* begin_;
};

TEST_CASE("no kernel reads past its codes, tables or centroids") {
  const GuardedPage first;
  const GuardedPage second;
  for (const Level& level : all_levels()) {
    CAPTURE(level.name);
    for (const std::size_t m : {2U, 4U, 6U, 10U, 34U}) {
      std::uint16_t sums[3 * kBlockRows];
      level.pq.scan4(first.last(m * 16), second.last(3 * m / 2 * kBlockRows), 3, m, sums);
      const auto* const table = reinterpret_cast<const float*>(first.last(m * kEntries * sizeof(float)));
      float out[5];
      level.pq.lookup8_block(table, {second.last(5 * m), 5, m}, m, out);
      float distances[48];
      const auto* const columns = reinterpret_cast<const float*>(first.last(m * 48 * sizeof(float)));
      const auto* const query = reinterpret_cast<const float*>(second.last(m * sizeof(float)));
      level.pq.l2_squared(query, {columns, 48, m}, distances);
      CHECK(distances[47] == 0);
      CHECK(level.pq.nearest(query, {columns, 48, m}, distances) == 0);
    }
  }
}

}  // namespace
}  // namespace vdb
