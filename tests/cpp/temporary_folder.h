// A folder that goes when the test does, and whole files written and patched in it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace vdb::testing {

class TemporaryFolder {
 public:
  // Below another folder than that of the system where one is given.
  explicit TemporaryFolder(const std::filesystem::path& base = std::filesystem::temp_directory_path()) {
    std::string pattern = (base / "vdb_tests_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

inline void put_file(const std::string& path, std::span<const unsigned char> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

inline std::vector<unsigned char> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot open " + path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// Overwrites single bytes of a file in place, which is faster than writing the file anew for each.
class BytePatch {
 public:
  explicit BytePatch(const std::string& path) : file_(path, std::ios::binary | std::ios::in | std::ios::out) {}

  void set(std::size_t at, unsigned char byte) {
    file_.seekp(static_cast<std::streamoff>(at));
    file_.put(static_cast<char>(byte));
    if (!file_.flush()) throw std::runtime_error("cannot patch");
  }

 private:
  std::fstream file_;
};

}  // namespace vdb::testing
