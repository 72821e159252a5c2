// The few file operations the core needs. Every one either does all of its work or throws IoError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vdb {

// A new file, removed again unless finish() is reached.
class FileWriter {
 public:
  explicit FileWriter(std::string path);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  void write(const void* data, std::size_t size);
  std::uint64_t written() const noexcept { return written_; }
  // Flushes to the device and closes.
  void finish();

 private:
  std::string path_;
  int descriptor_;
  std::uint64_t written_ = 0;
};

// A whole file in memory, as it was when the mapping was made. Writing to it changes this process's copy of a page and
// never the file. Who cuts or rewrites the file meanwhile breaks the mapping (a page that is gone is a SIGBUS), so only
// files that are never changed in place are mapped; a file that is removed or replaced lives on here.
class Mapping {
 public:
  explicit Mapping(const std::string& path);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<unsigned char> bytes() const noexcept { return bytes_; }

 private:
  std::span<unsigned char> bytes_;
};

}  // namespace vdb
