// Files made to deceive: every checksum is right, and still the reader must not believe a length or an offset.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <string>

#include "base/error.h"
#include "io/checksum.h"
#include "io/container.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::put_file;
using testing::read_file;
using testing::TemporaryFolder;

using Content = std::vector<unsigned char>;

constexpr std::size_t kHeaderCrcAt = 4092;
constexpr std::size_t kFirstEntryAt = 2048;
constexpr std::size_t kSecondEntryAt = kFirstEntryAt + 32;

template <class T>
void put(Content& file, std::size_t at, T value) {
  std::memcpy(&file[at], &value, sizeof value);
}

// Makes the checksums of header and footer agree with the content again.
void reseal(Content& file) {
  const std::size_t footer = file.size() - 64;
  put(file, kHeaderCrcAt, crc32c(file.data(), kHeaderCrcAt));
  std::memcpy(&file[footer + 16], &file[kHeaderCrcAt], 4);
  put(file, footer + 60, crc32c(&file[footer], 60));
}

// The section a reader blames for the file `forge` makes of a good one of two 100-byte sections; "" where it loads.
template <class Forge>
std::string blamed(Forge&& forge) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const Content data(100, 7);
  const std::vector<Section> sections{{"first", data}, {"second", data}};
  write_container(path, Content(16, 3), sections);
  Content file = read_file(path);
  forge(file);
  reseal(file);
  put_file(path, file);
  try {
    static_cast<void>(Container::read(path));
  } catch (const FormatVersionError& error) {
    return "newer " + error.damage.section;
  } catch (const Corrupted& error) {
    return error.damage.section;
  }
  return "";
}

template <class T>
std::string blamed_for(std::size_t at, T value) {
  return blamed([&](Content& file) { put(file, at, value); });
}

constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("resealing alone leaves a good file good") {
  CHECK(blamed([](Content&) {}) == "");
}

TEST_CASE("another major version is refused as such, another minor one is read") {
  CHECK(blamed_for(8, std::uint16_t{2}) == "newer version");
  CHECK(blamed_for(8, std::uint16_t{0}) == "newer version");
  CHECK(blamed_for(10, std::uint16_t{1}) == "");
}

TEST_CASE("a file of the other byte order is refused") {
  CHECK(blamed_for(12, std::uint32_t{0x0d0c0b0aU}) == "endian tag");
}

TEST_CASE("a number of sections beyond the table is refused") {
  CHECK(blamed_for(16, std::uint32_t{64}) == "section count");
  CHECK(blamed_for(16, std::uint32_t{0xffffffffU}) == "section count");
}

TEST_CASE("sections that are in the table and not counted are refused") {
  CHECK(blamed_for(16, std::uint32_t{1}) == "padding");
  CHECK(blamed_for(16, std::uint32_t{3}) != "");
}

TEST_CASE("an identity longer than its room is refused") {
  CHECK(blamed_for(20, std::uint32_t{1985}) == "identity length");
  CHECK(blamed_for(20, std::uint32_t{0xffffffffU}) == "identity length");
  CHECK(blamed_for(20, std::uint32_t{15}) == "padding");
}

TEST_CASE("a section anywhere but at its place is refused") {
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{4095}, std::uint64_t{4160}, kHuge, kHuge - 63}) {
    CHECK(blamed_for(kFirstEntryAt + 8, offset) == "section offset");
  }
  CHECK(blamed_for(kSecondEntryAt + 8, std::uint64_t{4096}) == "section offset");
}

TEST_CASE("a section longer than the file is refused") {
  for (const std::uint64_t length : {std::uint64_t{1'000'000}, kHuge, kHuge - 4096, kHuge - 8192}) {
    CHECK(blamed_for(kFirstEntryAt + 16, length) == "section length");
    CHECK(blamed_for(kSecondEntryAt + 16, length) == "section length");
  }
}

TEST_CASE("a section of another length than was summed is refused") {
  for (const std::uint64_t length : {0U, 1U, 99U, 101U, 128U}) {
    CHECK(blamed_for(kFirstEntryAt + 16, length) == "section checksum");
  }
}

TEST_CASE("bytes nothing describes are refused") {
  CHECK(blamed_for(2010, std::uint8_t{1}) == "padding");                  // between identity and table
  CHECK(blamed_for(kFirstEntryAt + 28, std::uint32_t{1}) == "padding");   // behind the checksum of an entry
  CHECK(blamed_for(kSecondEntryAt + 40, std::uint32_t{1}) == "padding");  // behind the last entry
  CHECK(blamed_for(4070, std::uint8_t{1}) == "padding");                  // behind the table
  CHECK(blamed_for(4096 + 100, std::uint8_t{1}) == "padding");            // between sections
  CHECK(blamed_for(4096 + 128 + 127, std::uint8_t{1}) == "padding");      // behind the last section
  CHECK(blamed_for(4096 + 256 + 20, std::uint8_t{1}) == "padding");       // in the footer
}

TEST_CASE("a footer of another length or another file is refused") {
  CHECK(blamed_for(4096 + 256 + 8, std::uint64_t{4096 + 256}) == "length");
  CHECK(blamed_for(4096 + 256, std::uint8_t{'W'}) == "end magic");
}

TEST_CASE("bytes between the last section and the footer are refused") {
  CHECK(blamed([](Content& file) {
          file.insert(file.end() - 64, 64, 0);
          put(file, file.size() - 56, std::uint64_t{file.size()});
        }) == "length");
}

}  // namespace
}  // namespace vdb
