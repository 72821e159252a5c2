#include "io/container.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "io/checksum.h"

namespace vdb {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian");

constexpr char kMagic[] = "VDBIDX\r\n";
constexpr char kEndMagic[] = "VDBEND\r\n";
constexpr std::uint16_t kMajor = 1;
constexpr std::uint16_t kMinor = 0;
constexpr std::uint32_t kEndianTag = 0x0a0b0c0dU;

// Offsets in the header, each derived from the one before.
constexpr std::size_t kMagicBytes = 8;
constexpr std::size_t kVersionAt = kMagicBytes;
constexpr std::size_t kEndianAt = kVersionAt + 4;
constexpr std::size_t kCountAt = kEndianAt + 4;
constexpr std::size_t kIdentityLengthAt = kCountAt + 4;
constexpr std::size_t kIdentityAt = kIdentityLengthAt + 4;
constexpr std::size_t kIdentityMax = 1984;
constexpr std::size_t kTableAt = 2048;
constexpr std::size_t kEntryBytes = 32;
constexpr std::size_t kMaxSections = 63;
constexpr std::size_t kHeaderBytes = 4096;
constexpr std::size_t kHeaderCrcAt = kHeaderBytes - 4;
static_assert(kIdentityAt + kIdentityMax <= kTableAt && kTableAt + kMaxSections * kEntryBytes <= kHeaderCrcAt);

constexpr std::size_t kTagBytes = 8;
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kFooterBytes = 64;
constexpr std::size_t kFooterLengthAt = kMagicBytes;
constexpr std::size_t kFooterHeaderCrcAt = kFooterLengthAt + 8;
constexpr std::size_t kFooterCrcAt = kFooterBytes - 4;

using Header = std::array<unsigned char, kHeaderBytes>;
using Footer = std::array<unsigned char, kFooterBytes>;

template <class T>
void put(unsigned char* at, T value) noexcept {
  std::memcpy(at, &value, sizeof value);
}

template <class T>
T get(const unsigned char* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr std::uint64_t aligned(std::uint64_t offset) noexcept {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

std::uint64_t size_of(const Section& section) noexcept {
  std::uint64_t size = section.data.size();
  for (const Bytes piece : section.rest) size += piece.size();
  return size;
}

std::uint32_t checksum_of(const Section& section) {
  std::uint32_t crc = parallel_crc32c(section.data.data(), section.data.size());
  for (const Bytes piece : section.rest) crc = crc32c(piece.data(), piece.size(), crc);
  return crc;
}

Header make_header(Bytes identity, std::span<const Section> sections) {
  VDB_CHECK(identity.size() <= kIdentityMax, "the identity of a snapshot is at most 1984 bytes");
  VDB_CHECK(sections.size() <= kMaxSections, "a snapshot holds at most 63 sections");
  Header header{};
  std::memcpy(header.data(), kMagic, kMagicBytes);
  put(&header[kVersionAt], kMajor);
  put(&header[kVersionAt + 2], kMinor);
  put(&header[kEndianAt], kEndianTag);
  put(&header[kCountAt], static_cast<std::uint32_t>(sections.size()));
  put(&header[kIdentityLengthAt], static_cast<std::uint32_t>(identity.size()));
  std::copy(identity.begin(), identity.end(), header.begin() + kIdentityAt);
  std::uint64_t offset = kHeaderBytes;
  unsigned char* entry = &header[kTableAt];
  for (const Section& section : sections) {
    VDB_CHECK(section.tag.size() <= kTagBytes, "a section tag is at most 8 characters");
    std::copy(section.tag.begin(), section.tag.end(), entry);
    put(entry + kTagBytes, offset);
    put(entry + kTagBytes + 8, size_of(section));
    put(entry + kTagBytes + 16, checksum_of(section));
    offset = aligned(offset + size_of(section));
    entry += kEntryBytes;
  }
  put(&header[kHeaderCrcAt], crc32c(header.data(), kHeaderCrcAt));
  return header;
}

Footer make_footer(const Header& header, std::uint64_t total) {
  Footer footer{};
  std::memcpy(footer.data(), kEndMagic, kMagicBytes);
  put(&footer[kFooterLengthAt], total);
  std::copy_n(&header[kHeaderCrcAt], 4, &footer[kFooterHeaderCrcAt]);
  put(&footer[kFooterCrcAt], crc32c(footer.data(), kFooterCrcAt));
  return footer;
}

// Reads a file it does not trust; every failure names the section and the byte.
class Reader {
 public:
  Reader(const std::string& path, Bytes file) : path_(path), file_(file) {}

  void check_header() const {
    require(file_.size() >= kHeaderBytes + kFooterBytes, "length", 0, "at least 4160 bytes", file_.size());
    require(std::memcmp(file_.data(), kMagic, kMagicBytes) == 0, "magic", 0, "VDBIDX", "other bytes");
    const auto major = get<std::uint16_t>(&file_[kVersionAt]);
    if (major != kMajor) throw FormatVersionError({path_, "version", kVersionAt, "1", std::to_string(major)});
    const auto stored = get<std::uint32_t>(&file_[kHeaderCrcAt]);
    const auto actual = crc32c(file_.data(), kHeaderCrcAt);
    require(stored == actual, "header checksum", kHeaderCrcAt, stored, actual);
    const auto tag = get<std::uint32_t>(&file_[kEndianAt]);
    require(tag == kEndianTag, "endian tag", kEndianAt, kEndianTag, tag);
  }

  void check_footer() const {
    const std::size_t at = file_.size() - kFooterBytes;
    const unsigned char* footer = &file_[at];
    const auto stored = get<std::uint32_t>(footer + kFooterCrcAt);
    const auto actual = crc32c(footer, kFooterCrcAt);
    require(stored == actual, "footer checksum", at + kFooterCrcAt, stored, actual);
    require(std::memcmp(footer, kEndMagic, kMagicBytes) == 0, "end magic", at, "VDBEND", "other bytes");
    const auto length = get<std::uint64_t>(footer + kFooterLengthAt);
    require(length == file_.size(), "length", at + kFooterLengthAt, length, file_.size());
    const bool same = std::memcmp(footer + kFooterHeaderCrcAt, &file_[kHeaderCrcAt], 4) == 0;
    require(same, "header", at + kFooterHeaderCrcAt, "the checksum of this header", "another");
    require_zero(at + kFooterHeaderCrcAt + 4, at + kFooterCrcAt);
  }

  Bytes identity() const {
    const auto length = get<std::uint32_t>(&file_[kIdentityLengthAt]);
    require(length <= kIdentityMax, "identity length", kIdentityLengthAt, kIdentityMax, length);
    require_zero(kIdentityAt + length, kTableAt);
    return file_.subspan(kIdentityAt, length);
  }

  std::vector<Section> sections() const {
    const auto count = get<std::uint32_t>(&file_[kCountAt]);
    require(count <= kMaxSections, "section count", kCountAt, kMaxSections, count);
    std::vector<Section> sections;
    std::uint64_t end = kHeaderBytes;
    for (std::size_t i = 0; i < count; ++i) {
      sections.push_back(section(kTableAt + i * kEntryBytes, end));
      end = aligned(end) + sections.back().data.size();
    }
    require_zero(kTableAt + count * kEntryBytes, kHeaderCrcAt);
    require(aligned(end) == file_.size() - kFooterBytes, "length", end, aligned(end) + kFooterBytes, file_.size());
    require_zero(end, file_.size() - kFooterBytes);
    return sections;
  }

 private:
  template <class Expected, class Found>
  void require(bool holds, const char* section, std::uint64_t offset, Expected expected, Found found) const {
    if (!holds) throw Corrupted({path_, section, offset, text(expected), text(found)});
  }
  static std::string text(const char* value) { return value; }
  static std::string text(std::uint64_t value) { return std::to_string(value); }

  void require_zero(std::uint64_t begin, std::uint64_t end) const {
    for (std::uint64_t i = begin; i < end; ++i) require(file_[i] == 0, "padding", i, "0", std::uint64_t{file_[i]});
  }

  // The section whose table entry is at `entry`; it must start at the first aligned byte from `end` on.
  Section section(std::size_t entry, std::uint64_t end) const {
    const auto offset = get<std::uint64_t>(&file_[entry + kTagBytes]);
    const auto length = get<std::uint64_t>(&file_[entry + kTagBytes + 8]);
    require(offset == aligned(end), "section offset", entry + kTagBytes, aligned(end), offset);
    const std::uint64_t limit = file_.size() - kFooterBytes;
    require(offset <= limit && length <= limit - offset, "section length", entry + kTagBytes + 8, limit, length);
    require_zero(end, offset);
    const Bytes data = file_.subspan(offset, length);
    const auto stored = get<std::uint32_t>(&file_[entry + kTagBytes + 16]);
    const auto actual = parallel_crc32c(data.data(), data.size());
    require(stored == actual, "section checksum", offset, stored, actual);
    require_zero(entry + kTagBytes + 20, entry + kEntryBytes);
    const char* tag = reinterpret_cast<const char*>(&file_[entry]);
    return {{tag, ::strnlen(tag, kTagBytes)}, data};
  }

  const std::string& path_;
  Bytes file_;
};

}  // namespace

std::uint64_t write_container(const std::string& path, Bytes identity, std::span<const Section> sections) {
  constexpr std::array<unsigned char, kAlignment> kZeros{};
  const Header header = make_header(identity, sections);
  FileWriter writer(path);
  writer.write(header.data(), header.size());
  for (const Section& section : sections) {
    writer.write(section.data.data(), section.data.size());
    for (const Bytes piece : section.rest) writer.write(piece.data(), piece.size());
    writer.write(kZeros.data(), aligned(writer.written()) - writer.written());
  }
  const Footer footer = make_footer(header, writer.written() + kFooterBytes);
  writer.write(footer.data(), footer.size());
  const std::uint64_t total = writer.written();
  writer.finish();
  return total;
}

Container Container::read(const std::string& path) {
  Container container;
  container.path_ = path;
  container.file_ = std::make_shared<Mapping>(path);
  const Reader reader(container.path_, container.file_->bytes());
  reader.check_header();
  reader.check_footer();
  container.identity_ = reader.identity();
  container.sections_ = reader.sections();
  return container;
}

bool Container::has(std::string_view tag) const noexcept {
  return std::any_of(sections_.begin(), sections_.end(), [&](const Section& section) { return section.tag == tag; });
}

Bytes Container::section(std::string_view tag) const {
  for (const Section& section : sections_) {
    if (section.tag == tag) return section.data;
  }
  throw Corrupted({path_, "section table", kTableAt, "a section '" + std::string(tag) + "'", "none"});
}

AlignedBuffer<std::uint8_t> Container::stretch(std::string_view first, std::string_view last) const {
  const unsigned char* const file = file_->bytes().data();
  const auto begin = static_cast<std::size_t>(section(first).data() - file);
  const auto end = static_cast<std::size_t>(section(last).data() + section(last).size() - file);
  if (begin > end) {
    throw Corrupted({path_, std::string(last), end, "a section behind '" + std::string(first) + "'", "one before it"});
  }
  return {&file_->bytes()[0] + begin, end - begin, file_};
}

}  // namespace vdb
