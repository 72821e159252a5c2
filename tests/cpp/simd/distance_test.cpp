#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kQueries = 3;  // a tile of two and one over
constexpr std::size_t kRows = 9;     // two groups of four and one over

// The kernels of one operation on one dtype at one level.
struct Forms {
  std::string name;
  Dtype dtype;
  std::size_t sums;  // accumulators that share the values of a row
  bool squares;
  DistanceKernels::Forms kernels;

  std::size_t bytes(std::size_t values) const { return values * bytes_per_value(dtype); }
  float pair(const std::vector<std::byte>& a, const std::vector<std::byte>& b) const {
    return kernels.pair(a.data(), b.data(), a.size() / bytes_per_value(dtype));
  }
};

std::size_t sums_of(Isa isa) {
  switch (isa) {
    case Isa::kScalar: return 4;
    case Isa::kNeon:
    case Isa::kNeonDotprod: return 8;
    case Isa::kAvx2: return 16;
    case Isa::kAvx512:
    case Isa::kAvx512Vnni: return 32;
  }
  return 0;
}

std::vector<Forms> all_forms() {
  std::vector<Forms> forms;
  for (const Isa isa : available_isas()) {
    for (const Dtype dtype : testing::kDtypes) {
      const DistanceKernels& k = kernels_for(isa).distance(dtype);
      const std::string name = std::string(name_of(isa)) + " " + std::string(name_of(dtype));
      forms.push_back({name + " l2", dtype, sums_of(isa), true, k.l2_squared});
      forms.push_back({name + " ip", dtype, sums_of(isa), false, k.inner_product});
    }
  }
  return forms;
}

std::vector<std::size_t> ragged_dims() {
  std::vector<std::size_t> dims;
  for (std::size_t dim = 1; dim <= 130; ++dim) dims.push_back(dim);
  for (const std::size_t dim : {255U, 384U, 511U, 768U, 1023U, 1030U}) dims.push_back(dim);
  return dims;
}

std::vector<std::byte> stored(const std::vector<float>& values, Dtype dtype) {
  std::vector<std::byte> bytes(values.size() * bytes_per_value(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    testing::store(values[i], dtype, bytes.data() + i * bytes_per_value(dtype));
  }
  return bytes;
}

// Normal values; for int8, so wide that their ends are cut to 127 and -128.
std::vector<std::byte> drawn(std::size_t n, Dtype dtype, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  if (dtype == Dtype::kInt8) {
    for (float& value : values) value = std::clamp(100 * value, -128.0F, 127.0F);
  }
  return stored(values, dtype);
}

std::vector<float> read(const std::byte* values, Dtype dtype, std::size_t n) {
  std::vector<float> floats(n);
  read_row({values, 1, n, Metric::kL2, nullptr, dtype}, 0, floats.data());
  return floats;
}

// Whether `value` is within the rounding the kernel files promise: a chain of dim / sums additions, at most 3 steps of
// tail, the reduction of up to 32 sums, and 3 for the difference and its square. int8 rounds once.
bool close(const Forms& forms, const std::byte* a, const std::byte* b, std::size_t dim, float value) {
  const std::vector<float> x = read(a, forms.dtype, dim);
  const std::vector<float> y = read(b, forms.dtype, dim);
  long double exact = 0;
  long double magnitude = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const long double difference = static_cast<long double>(x[i]) - static_cast<long double>(y[i]);
    const long double product = static_cast<long double>(x[i]) * static_cast<long double>(y[i]);
    const long double term = forms.squares ? difference * difference : product;
    exact += term;
    magnitude += std::abs(term);
  }
  const long double error = std::abs(static_cast<long double>(value) - exact);
  if (forms.dtype == Dtype::kInt8) return error <= 0x1p-24L * std::abs(exact);
  const long double steps = static_cast<long double>(dim / forms.sums) + 3 + 6 + 3;
  return error <= steps * 0x1p-24L * magnitude;
}

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Number of distances of kQueries queries and kRows rows that are wrong or differ between the four forms.
std::size_t count_wrong(const Forms& forms, const std::byte* queries, const std::byte* rows, std::size_t dim) {
  const std::size_t stride = forms.bytes(dim);
  std::vector<float> by_tile(kQueries * kRows);
  forms.kernels.tile({queries, kQueries}, {rows, kRows}, dim, by_tile.data());
  std::size_t wrong = 0;
  for (std::size_t q = 0; q < kQueries; ++q) {
    const std::byte* const query = queries + q * stride;
    std::vector<float> by_block(kRows);
    forms.kernels.block(query, rows, kRows, dim, by_block.data());
    for (std::size_t r = 0; r < kRows; ++r) {
      const float value = forms.kernels.pair(query, rows + r * stride, dim);
      wrong += close(forms, query, rows + r * stride, dim, value) ? 0U : 1U;
      wrong += same_bits(value, by_block[r]) && same_bits(value, by_tile[q * kRows + r]) ? 0U : 1U;
    }
    for (std::size_t first = 0; first + 4 <= kRows; ++first) {
      const void* gathered[4];  // not in order, and one row twice
      for (std::size_t j = 0; j < 4; ++j) gathered[j] = rows + ((first + 5 * j) % kRows) * stride;
      gathered[3] = gathered[1];
      float by_x4[4];
      forms.kernels.x4(query, gathered, dim, by_x4);
      for (std::size_t j = 0; j < 4; ++j) {
        wrong += same_bits(by_x4[j], forms.kernels.pair(query, gathered[j], dim)) ? 0U : 1U;
      }
    }
  }
  return wrong;
}

TEST_CASE("every level agrees with long double at ragged dims and offsets, and its four forms agree bit for bit") {
  for (const Forms& forms : all_forms()) {
    CAPTURE(forms.name);
    for (const std::size_t dim : ragged_dims()) {
      CAPTURE(dim);
      for (const std::size_t offset : {0U, 1U, 3U, 15U}) {
        const std::vector<std::byte> memory = drawn(offset + (kQueries + kRows) * dim, forms.dtype, dim);
        const std::byte* const queries = memory.data() + forms.bytes(offset);
        CHECK(count_wrong(forms, queries, queries + forms.bytes(kQueries * dim), dim) == 0);
      }
    }
  }
}

TEST_CASE("small integers are exact at every level") {
  for (const Forms& forms : all_forms()) {
    CAPTURE(forms.name);
    for (const std::size_t dim : ragged_dims()) {
      const testing::Vectors vectors = testing::integer_vectors(Metric::kL2, 2, dim, dim);
      float exact = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const float a = vectors.row(0)[i];
        const float b = vectors.row(1)[i];
        exact += forms.squares ? (a - b) * (a - b) : a * b;
      }
      const std::vector<std::byte> values = stored(vectors.values, forms.dtype);
      CHECK(forms.kernels.pair(values.data(), values.data() + forms.bytes(dim), dim) == exact);
    }
  }
}

TEST_CASE("a vector is at distance zero from itself") {
  for (const Forms& forms : all_forms()) {
    if (!forms.squares) continue;
    for (const std::size_t dim : ragged_dims()) {
      const std::vector<std::byte> values = drawn(dim, forms.dtype, dim);
      CHECK(forms.pair(values, values) == 0);
    }
  }
}

TEST_CASE("each coordinate counts once") {
  for (const Forms& forms : all_forms()) {
    CAPTURE(forms.name);
    for (const std::size_t dim : {1U, 4U, 15U, 33U, 64U, 127U, 130U, 257U}) {
      const std::vector<std::byte> ones = stored(std::vector<float>(dim, 1.0F), forms.dtype);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        std::vector<float> other(dim, forms.squares ? 1.0F : 0.0F);
        other[i] = 4.0F;
        wrong += forms.pair(ones, stored(other, forms.dtype)) == (forms.squares ? 9.0F : 4.0F) ? 0U : 1U;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("int8 is exact in the longest vectors of the largest values") {
  constexpr std::size_t kLongest = 65'535;
  const std::vector<std::byte> low = stored(std::vector<float>(kLongest, -128.0F), Dtype::kInt8);
  const std::vector<std::byte> high = stored(std::vector<float>(kLongest, 127.0F), Dtype::kInt8);
  for (const Forms& forms : all_forms()) {
    if (forms.dtype != Dtype::kInt8) continue;
    CAPTURE(forms.name);
    constexpr double kCount = kLongest;
    CHECK(forms.pair(low, high) == static_cast<float>(kCount * (forms.squares ? 255 * 255 : -128 * 127)));
    CHECK(forms.pair(high, low) == forms.pair(low, high));
    CHECK(forms.pair(low, low) == static_cast<float>(kCount * (forms.squares ? 0 : 128 * 128)));
    CHECK(forms.pair(high, high) == static_cast<float>(kCount * (forms.squares ? 0 : 127 * 127)));
  }
}

TEST_CASE("an infinite or missing value is passed on, wherever it stands") {
  for (const Forms& forms : all_forms()) {
    if (forms.dtype == Dtype::kInt8) continue;
    CAPTURE(forms.name);
    const std::size_t width = bytes_per_value(forms.dtype);
    const std::vector<std::byte> b = stored(std::vector<float>(70, 2.0F), forms.dtype);
    for (std::size_t at = 0; at < 70; ++at) {
      std::vector<std::byte> a = stored(std::vector<float>(70, 1.0F), forms.dtype);
      a[at * width + width - 1] = std::byte{0x7f};  // all exponent bits but the lowest few
      a[at * width + width - 2] = std::byte{0x80};
      if (forms.dtype == Dtype::kFloat16) a[at * width + 1] = std::byte{0x7c};
      if (forms.dtype == Dtype::kFloat16) a[at * width] = std::byte{0};
      if (forms.dtype == Dtype::kFloat32) a[at * width] = a[at * width + 1] = std::byte{0};
      CHECK(std::isinf(forms.pair(a, b)));
      a[at * width] = std::byte{0xff};
      CHECK(std::isnan(forms.pair(a, b)));
    }
  }
}

// A page that ends where reading is forbidden.
class GuardedPage {
 public:
  GuardedPage() : bytes_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    void* const p = ::mmap(nullptr, 2 * bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(p != MAP_FAILED);
    begin_ = static_cast<unsigned char*>(p);
    REQUIRE(::mprotect(begin_ + bytes_, bytes_, PROT_NONE) == 0);
  }
  ~GuardedPage() { ::munmap(begin_, 2 * bytes_); }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;

  // The last `n` bytes that may be read.
  std::byte* last(std::size_t n) const { return reinterpret_cast<std::byte*>(begin_ + bytes_) - n; }

 private:
  std::size_t bytes_;
  unsigned char* begin_;
};

TEST_CASE("no kernel reads past the last value of a row") {
  const GuardedPage query_page;
  const GuardedPage rows_page;
  for (const Forms& forms : all_forms()) {
    CAPTURE(forms.name);
    for (std::size_t dim = 1; dim <= 100; ++dim) {
      std::byte* const queries = query_page.last(forms.bytes(kQueries * dim));
      std::byte* const rows = rows_page.last(forms.bytes(kRows * dim));
      const std::vector<std::byte> ones = stored(std::vector<float>(kRows * dim, 1.0F), forms.dtype);
      const std::vector<std::byte> twos = stored(std::vector<float>(kQueries * dim, 2.0F), forms.dtype);
      std::memcpy(queries, twos.data(), twos.size());
      std::memcpy(rows, ones.data(), ones.size());
      CHECK(count_wrong(forms, queries, rows, dim) == 0);
    }
  }
}

}  // namespace
}  // namespace vdb
