// One checksummed file of named sections: the form of every index snapshot. It is mapped, not read, so an array in it
// is there at once and its pages are shared with the system's cache. FORMAT.md has the byte map.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "io/file.h"

namespace vdb {

using Bytes = std::span<const unsigned char>;

struct Section {
  std::string_view tag;  // at most 8 ASCII characters
  Bytes data;
  std::span<const Bytes> rest = {};  // what is written behind `data`, piece by piece
};

template <class T>
Bytes bytes_of(std::span<const T> values) noexcept {
  return {reinterpret_cast<const unsigned char*>(values.data()), values.size_bytes()};
}

// Creates `path`, flushed; returns its length. `identity` says whose snapshot it is (at most 1,984 bytes).
std::uint64_t write_container(const std::string& path, Bytes identity, std::span<const Section> sections);

// A file whose every byte has been accounted for: magic, versions, checksums, padding, length.
class Container {
 public:
  static Container read(const std::string& path);

  const std::string& path() const noexcept { return path_; }
  Bytes identity() const noexcept { return identity_; }
  bool has(std::string_view tag) const noexcept;
  // Corrupted where the section is missing.
  Bytes section(std::string_view tag) const;
  // The section as an array where it stands, on a cache line; it keeps the file mapped. A tail shorter than T is left
  // out.
  template <class T>
  AlignedBuffer<T> values(std::string_view tag) const {
    const Bytes data = section(tag);
    unsigned char* const begin = &file_->bytes()[0] + (data.data() - file_->bytes().data());
    return {reinterpret_cast<T*>(begin), data.size() / sizeof(T), file_};
  }
  // All bytes from the beginning of one section to the end of the same or a later one, likewise; Corrupted where the
  // second stands before the first.
  AlignedBuffer<std::uint8_t> stretch(std::string_view first, std::string_view last) const;

 private:
  std::string path_;
  std::shared_ptr<Mapping> file_;
  Bytes identity_;
  std::vector<Section> sections_;
};

}  // namespace vdb
