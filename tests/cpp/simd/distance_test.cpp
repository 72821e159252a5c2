#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "data.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

using testing::Random;

constexpr std::size_t kRows = 9;  // two groups of four and one over

// The kernels of one operation at one level.
struct Forms {
  std::string name;
  std::size_t lanes;
  bool squares;
  DistanceKernelsF32::Pair pair;
  DistanceKernelsF32::PairX4 x4;
  DistanceKernelsF32::Block block;
};

std::size_t lanes_of(Isa isa) {
  switch (isa) {
    case Isa::kScalar: return 1;
    case Isa::kNeon: return 4;
    case Isa::kAvx2: return 8;
    case Isa::kAvx512: return 16;
  }
  return 0;
}

std::vector<Forms> all_forms() {
  std::vector<Forms> forms;
  for (const Isa isa : available_isas()) {
    const DistanceKernelsF32& k = kernels_for(isa).distance_f32;
    const std::string level(name_of(isa));
    forms.push_back({level + " l2", lanes_of(isa), true, k.l2_squared, k.l2_squared_x4, k.l2_squared_block});
    forms.push_back({level + " ip", lanes_of(isa), false, k.inner_product, k.inner_product_x4, k.inner_product_block});
  }
  return forms;
}

std::vector<std::size_t> ragged_dims() {
  std::vector<std::size_t> dims;
  for (std::size_t dim = 1; dim <= 130; ++dim) dims.push_back(dim);
  for (const std::size_t dim : {255U, 384U, 511U, 768U, 1023U, 1030U}) dims.push_back(dim);
  return dims;
}

// Whether `value` is within the rounding the kernel files promise: a chain of dim / (4 lanes) additions, at most 3
// steps of tail, the reduction of 4 x 16 sums, and 3 for the difference and its square.
bool close(const Forms& forms, const float* a, const float* b, std::size_t dim, float value) {
  long double exact = 0;
  long double magnitude = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const long double difference = static_cast<long double>(a[i]) - static_cast<long double>(b[i]);
    const long double product = static_cast<long double>(a[i]) * static_cast<long double>(b[i]);
    const long double term = forms.squares ? difference * difference : product;
    exact += term;
    magnitude += std::abs(term);
  }
  const long double steps = static_cast<long double>(dim / (4 * forms.lanes)) + 3 + 6 + 3;
  return std::abs(static_cast<long double>(value) - exact) <= steps * 0x1p-24L * magnitude;
}

bool same_bits(float a, float b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Number of distances of one (query, rows) that are wrong or differ between the three forms.
std::size_t count_wrong(const Forms& forms, const float* query, const float* rows, std::size_t dim) {
  std::vector<float> by_block(kRows);
  forms.block(query, rows, kRows, dim, by_block.data());
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < kRows; ++r) {
    const float value = forms.pair(query, rows + r * dim, dim);
    wrong += close(forms, query, rows + r * dim, dim, value) && same_bits(value, by_block[r]) ? 0U : 1U;
  }
  for (std::size_t first = 0; first + 4 <= kRows; ++first) {
    const float* gathered[4];  // not in order, and one row twice
    for (std::size_t j = 0; j < 4; ++j) gathered[j] = rows + ((first + 5 * j) % kRows) * dim;
    gathered[3] = gathered[1];
    float by_x4[4];
    forms.x4(query, gathered, dim, by_x4);
    for (std::size_t j = 0; j < 4; ++j) wrong += same_bits(by_x4[j], forms.pair(query, gathered[j], dim)) ? 0U : 1U;
  }
  return wrong;
}

TEST_CASE("every level agrees with long double at ragged dims and offsets, and its three forms agree bit for bit") {
  for (const Forms& forms : all_forms()) {
    CAPTURE(forms.name);
    for (const std::size_t dim : ragged_dims()) {
      CAPTURE(dim);
      Random random(dim);
      for (const std::size_t offset : {0U, 1U, 2U, 3U, 5U, 15U}) {
        std::vector<float> memory(offset + (kRows + 1) * dim);
        for (float& value : memory) value = static_cast<float>(random.normal());
        const float* const query = memory.data() + offset;
        CHECK(count_wrong(forms, query, query + dim, dim) == 0);
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
      CHECK(forms.pair(vectors.row(0), vectors.row(1), dim) == exact);
    }
  }
}

TEST_CASE("a vector is at distance zero from itself") {
  for (const Forms& forms : all_forms()) {
    if (!forms.squares) continue;
    for (const std::size_t dim : ragged_dims()) {
      const testing::Vectors vectors = testing::uniform_vectors(Metric::kL2, 1, dim, dim);
      CHECK(forms.pair(vectors.row(0), vectors.row(0), dim) == 0);
    }
  }
}

TEST_CASE("each coordinate counts once") {
  for (const Forms& forms : all_forms()) {
    CAPTURE(forms.name);
    for (const std::size_t dim : {1U, 4U, 15U, 33U, 64U, 127U, 130U, 257U}) {
      const std::vector<float> ones(dim, 1.0F);
      std::vector<float> other = forms.squares ? ones : std::vector<float>(dim, 0.0F);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < dim; ++i) {
        const float before = other[i];
        other[i] = 4.0F;
        wrong += forms.pair(ones.data(), other.data(), dim) == (forms.squares ? 9.0F : 4.0F) ? 0U : 1U;
        other[i] = before;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("an infinite or missing value is passed on, wherever it stands") {
  for (const Forms& forms : all_forms()) {
    for (std::size_t at = 0; at < 70; ++at) {
      std::vector<float> a(70, 1.0F);
      const std::vector<float> b(70, 2.0F);
      a[at] = std::numeric_limits<float>::infinity();
      CHECK(std::isinf(forms.pair(a.data(), b.data(), a.size())));
      a[at] = std::numeric_limits<float>::quiet_NaN();
      CHECK(std::isnan(forms.pair(a.data(), b.data(), a.size())));
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

  // The last `n` floats that may be read.
  float* last(std::size_t n) const { return reinterpret_cast<float*>(begin_ + bytes_) - n; }

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
      float* const query = query_page.last(dim);
      float* const rows = rows_page.last(kRows * dim);
      std::fill_n(query, dim, 2.0F);
      std::fill_n(rows, kRows * dim, 1.0F);
      CHECK(count_wrong(forms, query, rows, dim) == 0);
    }
  }
}

}  // namespace
}  // namespace vdb
