#include "io/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::put_file;
using testing::TemporaryFolder;

template <class Call>
int errno_of(Call&& call) {
  try {
    call();
  } catch (const IoError& error) {
    return error.code;
  }
  return 0;
}

// Files of this process may not grow past `bytes`: the nearest a test gets to a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST_CASE("a finished file holds what was written, in order") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  {
    FileWriter writer(path);
    writer.write("abc", 3);
    writer.write("", 0);
    writer.write("de", 2);
    CHECK(writer.written() == 5);
    writer.finish();
  }
  CHECK(read_file(path) == std::vector<unsigned char>{'a', 'b', 'c', 'd', 'e'});
}

TEST_CASE("a file that is not finished is removed") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  {
    FileWriter writer(path);
    writer.write("abc", 3);
    CHECK(std::filesystem::exists(path));
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("an existing file is refused and stays as it was") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  put_file(path, std::vector<unsigned char>{1, 2, 3});
  CHECK(errno_of([&] { const FileWriter writer(path); }) == EEXIST);
  CHECK(read_file(path) == std::vector<unsigned char>{1, 2, 3});
}

TEST_CASE("a write the system refuses is an error and leaves no file") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const std::vector<unsigned char> bytes(10'000, 9);
  {
    const FileSizeLimit limit(4096);
    CHECK(errno_of([&] {
            FileWriter writer(path);
            writer.write(bytes.data(), bytes.size());
          }) == EFBIG);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a file in a folder that is not there cannot be created or read") {
  const TemporaryFolder folder;
  const std::string path = folder.file("no/such/file");
  CHECK(errno_of([&] { const FileWriter writer(path); }) == ENOENT);
  CHECK(errno_of([&] { static_cast<void>(read_file(path)); }) == ENOENT);
}

TEST_CASE("a folder is not read as a file") {
  const TemporaryFolder folder;
  CHECK(errno_of([&] { static_cast<void>(read_file(folder.file("."))); }) == EINVAL);
}

TEST_CASE("an empty file and a large one are read whole") {
  const TemporaryFolder folder;
  put_file(folder.file("empty"), {});
  CHECK(read_file(folder.file("empty")).empty());
  std::vector<unsigned char> bytes(3'000'001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 7 + i / 251);
  put_file(folder.file("large"), bytes);
  CHECK((read_file(folder.file("large")) == bytes));
}

}  // namespace
}  // namespace vdb
