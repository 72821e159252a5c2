// The few file operations the core needs. Every one either does all of its work or throws IoError.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

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

// The whole file.
std::vector<unsigned char> read_file(const std::string& path);

}  // namespace vdb
