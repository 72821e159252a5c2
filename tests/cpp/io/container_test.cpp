#include "io/container.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "data.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::BytePatch;
using testing::put_file;
using testing::Random;
using testing::read_file;
using testing::TemporaryFolder;

using Content = std::vector<unsigned char>;

Content noise(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Content bytes(size);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random.next());
  return bytes;
}

std::vector<Section> sections_of(const std::vector<std::string>& tags, const std::vector<Content>& contents) {
  std::vector<Section> sections;
  for (std::size_t i = 0; i < tags.size(); ++i) sections.push_back({tags[i], contents[i]});
  return sections;
}

bool equal(Bytes a, const Content& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

// A container of three sections whose padding is 63, 0 and 27 bytes long.
std::string write_small(const TemporaryFolder& folder) {
  const std::string path = folder.file("small");
  const std::vector<Content> contents{noise(1, 1), noise(64, 2), noise(37, 3)};
  write_container(path, noise(16, 4), sections_of({"one", "two", "three"}, contents));
  return path;
}

bool loads(const std::string& path) {
  try {
    static_cast<void>(Container::read(path));
  } catch (const Corrupted&) {
    return false;
  }
  return true;
}

TEST_CASE("a section in pieces is the section of all of them") {
  const TemporaryFolder folder;
  const std::vector<Content> pieces{noise(70, 1), {}, noise(1, 2), noise(900, 3)};
  Content whole;
  for (const Content& piece : pieces) whole.insert(whole.end(), piece.begin(), piece.end());
  const std::vector<Bytes> rest(pieces.begin() + 1, pieces.end());
  const Content last = noise(3, 4);
  write_container(folder.file("whole"), {}, std::vector<Section>{{"a", whole}, {"b", last}});
  write_container(folder.file("pieces"), {}, std::vector<Section>{{"a", pieces[0], rest}, {"b", last}});
  CHECK((read_file(folder.file("whole")) == read_file(folder.file("pieces"))));
  CHECK(equal(Container::read(folder.file("pieces")).section("a"), whole));
}

TEST_CASE("what is written is read back, for 0 to 63 sections of ragged sizes") {
  const TemporaryFolder folder;
  for (const std::size_t count : {0U, 1U, 2U, 5U, 17U, 62U, 63U}) {
    std::vector<std::string> tags;
    std::vector<Content> contents;
    for (std::size_t i = 0; i < count; ++i) {
      tags.push_back(std::to_string(i));
      contents.push_back(noise((i * 37) % 200, i));
    }
    const std::string path = folder.file(std::to_string(count).c_str());
    const Content identity = noise(count * 31, count);
    const std::uint64_t length = write_container(path, identity, sections_of(tags, contents));
    CHECK(length == std::filesystem::file_size(path));
    const Container read = Container::read(path);
    CHECK(read.path() == path);
    CHECK(equal(read.identity(), identity));
    for (std::size_t i = 0; i < count; ++i) CHECK(equal(read.section(tags[i]), contents[i]));
  }
}

TEST_CASE("sections of every size around the alignment are read back") {
  const TemporaryFolder folder;
  for (std::size_t size = 0; size <= 130; ++size) {
    const std::string path = folder.file(std::to_string(size).c_str());
    const std::vector<Content> contents{noise(size, 5), noise(3, 6)};
    write_container(path, {}, sections_of({"a", "b"}, contents));
    const Container read = Container::read(path);
    CHECK(equal(read.section("a"), contents[0]));
    CHECK(equal(read.section("b"), contents[1]));
  }
}

TEST_CASE("the bytes stand where FORMAT.md says") {
  const TemporaryFolder folder;
  const Content file = read_file(write_small(folder));
  const auto u32 = [&](std::size_t at) {
    std::uint32_t value;
    std::memcpy(&value, &file[at], 4);
    return value;
  };
  CHECK(std::memcmp(&file[0], "VDBIDX\r\n", 8) == 0);
  CHECK(u32(8) == 1);
  CHECK(u32(12) == 0x0a0b0c0dU);
  CHECK(u32(16) == 3);
  CHECK(u32(20) == 16);
  CHECK(std::memcmp(&file[24], noise(16, 4).data(), 16) == 0);
  CHECK(std::memcmp(&file[2048], "one\0\0\0\0\0", 8) == 0);
  CHECK(u32(2048 + 8) == 4096);
  CHECK(u32(2048 + 32 + 8) == 4096 + 64);
  CHECK(u32(2048 + 64 + 16) == 37);
  CHECK(file[4096] == noise(1, 1)[0]);
  CHECK(file.size() == 4096 + 64 + 64 + 64 + 64);
  CHECK(std::memcmp(&file[file.size() - 64], "VDBEND\r\n", 8) == 0);
  CHECK(u32(file.size() - 56) == file.size());
  CHECK(u32(file.size() - 48) == u32(4092));
}

TEST_CASE("tags of eight characters and identities of full length fit, longer ones are refused") {
  const TemporaryFolder folder;
  const Content content = noise(5, 1);
  const std::vector<Section> eight{{"abcdefgh", content}};
  write_container(folder.file("ok"), noise(1984, 2), eight);
  const Container read = Container::read(folder.file("ok"));
  CHECK(equal(read.section("abcdefgh"), content));
  CHECK(read.identity().size() == 1984);

  const std::vector<Section> nine{{"abcdefghi", content}};
  const std::vector<Section> many(64, Section{"a", content});
  CHECK_THROWS_AS(write_container(folder.file("bad"), {}, nine), InvalidArgument);
  CHECK_THROWS_AS(write_container(folder.file("bad"), {}, many), InvalidArgument);
  CHECK_THROWS_AS(write_container(folder.file("bad"), noise(1985, 2), eight), InvalidArgument);
  CHECK_FALSE(std::filesystem::exists(folder.file("bad")));
}

TEST_CASE("an array of a section stands in the file, on a cache line, and lives on without it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const std::vector<Content> contents{noise(100, 1), noise(4003, 2), Content{}};
  write_container(path, {}, sections_of({"a", "b", "none"}, contents));
  const Content before = read_file(path);
  AlignedBuffer<std::uint32_t> values;
  {
    const Container read = Container::read(path);
    values = read.values<std::uint32_t>("b");
    CHECK(static_cast<const void*>(values.data()) == read.section("b").data());
    CHECK(read.values<std::uint64_t>("none").size() == 0);
    CHECK_THROWS_AS(read.values<std::uint8_t>("c"), Corrupted);
  }
  CHECK(reinterpret_cast<std::uintptr_t>(values.data()) % 64 == 0);
  REQUIRE(values.size() == 1000);
  CHECK(std::memcmp(values.data(), contents[1].data(), 4000) == 0);
  for (std::uint32_t& value : values.span()) value = 0;
  CHECK(read_file(path) == before);
  std::filesystem::remove(path);
  CHECK(values[999] == 0);
}

TEST_CASE("a section that is not there is named") {
  const TemporaryFolder folder;
  const std::string path = write_small(folder);
  const Container read = Container::read(path);
  try {
    static_cast<void>(read.section("four"));
    FAIL("found a section that was never written");
  } catch (const Corrupted& error) {
    CHECK(error.damage.path == path);
    CHECK(error.damage.expected == "a section 'four'");
  }
}

TEST_CASE("no byte can be changed unnoticed") {
  const TemporaryFolder folder;
  const std::string path = write_small(folder);
  const Content good = read_file(path);
  BytePatch patch(path);
  std::vector<std::size_t> unnoticed;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned mask : {0x01U, 0x80U, 0xffU}) {
      patch.set(at, static_cast<unsigned char>(good[at] ^ mask));
      if (loads(path)) unnoticed.push_back(at);
    }
    patch.set(at, good[at]);
  }
  CHECK(unnoticed == std::vector<std::size_t>{});
  CHECK(loads(path));
}

TEST_CASE("no length but its own is accepted") {
  const TemporaryFolder folder;
  const std::string path = write_small(folder);
  Content bytes = read_file(path);
  const std::size_t length = bytes.size();
  bytes.resize(length + 70);
  put_file(path, bytes);
  std::vector<std::size_t> accepted;
  for (std::size_t size = bytes.size(); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    if (loads(path)) accepted.push_back(size);
    if (size == length) {  // shrinking from here on cuts the real content
      CHECK(accepted == std::vector<std::size_t>{length});
    }
  }
  CHECK(accepted == std::vector<std::size_t>{length});
}

}  // namespace
}  // namespace vdb
