#include "io/checksum.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string_view>
#include <vector>

#include "data.h"

namespace vdb {
namespace {

std::uint32_t bit_by_bit(const unsigned char* p, std::size_t size) {
  std::uint32_t crc = 0xffffffffU;
  for (std::size_t i = 0; i < size; ++i) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

std::vector<unsigned char> noise(std::size_t size) {
  testing::Random random(7);
  std::vector<unsigned char> bytes(size);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random.next());
  return bytes;
}

TEST_CASE("the checksum agrees with the vectors of RFC 3720") {
  std::vector<unsigned char> bytes(32, 0x00);
  CHECK(crc32c(bytes.data(), bytes.size()) == 0x8a9136aaU);
  bytes.assign(32, 0xff);
  CHECK(crc32c(bytes.data(), bytes.size()) == 0x62a8ab43U);
  std::iota(bytes.begin(), bytes.end(), 0);
  CHECK(crc32c(bytes.data(), bytes.size()) == 0x46dd794eU);
  std::iota(bytes.rbegin(), bytes.rend(), 0);
  CHECK(crc32c(bytes.data(), bytes.size()) == 0x113fdb5cU);
  constexpr std::string_view kDigits = "123456789";
  CHECK(crc32c(kDigits.data(), kDigits.size()) == 0xe3069283U);
}

TEST_CASE("the checksum of nothing is the seed") {
  CHECK(crc32c(nullptr, 0) == 0);
  CHECK(crc32c(nullptr, 0, 123) == 123);
}

TEST_CASE("every length at every alignment agrees with the definition") {
  const auto bytes = noise(200);
  std::size_t wrong = 0;
  for (std::size_t begin = 0; begin < 16; ++begin) {
    for (std::size_t size = 0; begin + size <= bytes.size(); ++size) {
      wrong += crc32c(&bytes[0] + begin, size) != bit_by_bit(&bytes[0] + begin, size) ? 1U : 0U;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a checksum continues across any cut") {
  const auto bytes = noise(100);
  const std::uint32_t whole = crc32c(bytes.data(), bytes.size());
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CHECK(crc32c(bytes.data() + cut, bytes.size() - cut, crc32c(bytes.data(), cut)) == whole);
  }
}

// Lengths around one and several runs of what crc32c sums side by side (12 KiB) and of a turn of a thread (1 MiB).
std::vector<std::size_t> long_lengths() {
  std::vector<std::size_t> lengths;
  for (const std::size_t around : {12'288U, 24'576U, 1U << 20, 2U << 20, (3U << 20) + 777}) {
    for (const std::size_t size : {around - 9, around - 1, std::size_t{around}, around + 1, around + 8}) {
      lengths.push_back(size);
    }
  }
  return lengths;
}

TEST_CASE("long inputs agree with the definition, by one thread and by all") {
  const auto bytes = noise((3U << 20) + 1000);
  for (const std::size_t size : long_lengths()) {
    CAPTURE(size);
    const std::uint32_t expected = bit_by_bit(&bytes[3], size);
    CHECK(crc32c(&bytes[3], size) == expected);
    CHECK(parallel_crc32c(&bytes[3], size) == expected);
  }
  for (std::size_t size = 0; size < 50; ++size) CHECK(parallel_crc32c(&bytes[1], size) == bit_by_bit(&bytes[1], size));
}

TEST_CASE("checksums of two parts are joined to that of both") {
  const auto bytes = noise(30'000);
  for (const std::size_t size : {1U, 8U, 100U, 4096U, 30'000U}) {
    const std::uint32_t whole = bit_by_bit(&bytes[0], size);
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, size / 2, size - 1, size}) {
      CHECK(crc32c_joined(crc32c(&bytes[0], cut), crc32c(&bytes[0] + cut, size - cut), size - cut) == whole);
    }
  }
}

TEST_CASE("every flipped bit changes the checksum") {
  auto bytes = noise(300);
  const std::uint32_t whole = crc32c(bytes.data(), bytes.size());
  std::size_t unseen = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<unsigned char>(1U << (bit % 8));
    bytes[bit / 8] ^= mask;
    unseen += crc32c(bytes.data(), bytes.size()) == whole ? 1U : 0U;
    bytes[bit / 8] ^= mask;
  }
  CHECK(unseen == 0);
}

}  // namespace
}  // namespace vdb
