// The form of every snapshot: header, table of sections, what they hold, footer. Checksums are right wherever the file
// is long enough to have them, unless a byte says that they are not to be.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "forge.h"
#include "io/checksum.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

// "seal" is one byte: the lowest bit of the header and its copy, then of sections, then of the footer.
constexpr const char* kTags[] = {"head", "table", "body", "foot", "seal"};
enum Part : std::size_t { kHead, kTable, kBody, kFoot, kSeal };

constexpr std::size_t kTableAt = 2048;
constexpr std::size_t kEntryBytes = 32;
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::size_t kHeaderCrcAt = kHeaderBytes - 4;
constexpr std::size_t kFooterBytes = 64;
constexpr std::size_t kFooterHeaderCrcAt = 16;

template <class T>
T get(const Content& file, std::size_t at) {
  T value;
  std::memcpy(&value, &file.at(at), sizeof value);
  return value;
}

void put_sum(Content& file, std::size_t at, std::uint32_t sum) { std::memcpy(&file.at(at), &sum, sizeof sum); }

// Makes the checksum of each section right that lies within the file.
void seal_sections(Content& file) {
  for (std::size_t entry = kTableAt; entry + kEntryBytes <= kHeaderCrcAt; entry += kEntryBytes) {
    const auto offset = get<std::uint64_t>(file, entry + 8);
    const auto length = get<std::uint64_t>(file, entry + 16);
    if (offset < kHeaderBytes || offset > file.size() || length > file.size() - offset) continue;
    put_sum(file, entry + 24, crc32c(file.data() + offset, length));
  }
}

void write(const Loader&, const Forged& forged, const std::string& path) {
  Content parts[std::size(kTags)];
  for (const Piece& piece : forged) parts[piece.tag] = piece.data;
  parts[kHead].resize(std::min(parts[kHead].size(), kTableAt));
  parts[kTable].resize(std::min(parts[kTable].size(), kHeaderCrcAt - kTableAt));
  Content file(kHeaderBytes);
  std::copy(parts[kHead].begin(), parts[kHead].end(), file.begin());
  std::copy(parts[kTable].begin(), parts[kTable].end(), file.begin() + kTableAt);
  for (const Part part : {kBody, kFoot}) file.insert(file.end(), parts[part].begin(), parts[part].end());
  const unsigned broken = parts[kSeal].empty() ? 0 : parts[kSeal][0];
  if ((broken & 2U) == 0) seal_sections(file);
  if ((broken & 1U) == 0) put_sum(file, kHeaderCrcAt, crc32c(file.data(), kHeaderCrcAt));
  if (parts[kFoot].size() >= kFooterBytes) {
    const std::size_t foot = file.size() - kFooterBytes;
    if ((broken & 1U) == 0) std::copy_n(&file[kHeaderCrcAt], 4, &file[foot + kFooterHeaderCrcAt]);
    if ((broken & 4U) == 0) put_sum(file, file.size() - 4, crc32c(&file[foot], kFooterBytes - 4));
  }
  testing::put_file(path, file);
}

std::vector<Forged> seeds() {
  const testing::TemporaryFolder folder;
  const Content data(100, 7);
  const std::vector<Section> two{{"first", data}, {"second", data}};
  const std::vector<Section> empty{{"none", {}}};
  std::vector<Forged> forged;
  for (const std::vector<Section>& sections : {std::vector<Section>{}, empty, two}) {
    const std::string path = folder.file(std::to_string(sections.size()).c_str());
    write_container(path, Content(16, 3), sections);
    const Content file = testing::read_file(path);
    const auto cut = [&](std::size_t begin, std::size_t end) {
      return Content(file.begin() + static_cast<std::ptrdiff_t>(begin),
                     file.begin() + static_cast<std::ptrdiff_t>(end));
    };
    forged.push_back({{kHead, cut(0, 48)},
                      {kTable, cut(kTableAt, kTableAt + (sections.size() + 1) * kEntryBytes)},
                      {kBody, cut(kHeaderBytes, file.size() - kFooterBytes)},
                      {kFoot, cut(file.size() - kFooterBytes, file.size())},
                      {kSeal, {0}}});
  }
  return forged;
}

void use(const std::string& path, Depth) {
  const Container file = Container::read(path);
  // Sums read every byte.
  static_cast<void>(crc32c(file.identity().data(), file.identity().size()));
  for (const char* tag : {"first", "second", "none"}) {
    if (!file.has(tag)) continue;
    const AlignedBuffer<std::uint64_t> values = file.values<std::uint64_t>(tag);
    static_cast<void>(crc32c(values.data(), values.size() * sizeof(std::uint64_t)));
    static_cast<void>(crc32c(file.section(tag).data(), file.section(tag).size()));
  }
}

}  // namespace

const Loader kContainer{"container", kTags, seeds, write, use};

}  // namespace vdb::fuzz
