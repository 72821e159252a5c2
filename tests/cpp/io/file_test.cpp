#include "io/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::put_file;
using testing::read_file;
using testing::TemporaryFolder;

using Content = std::vector<unsigned char>;

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

TEST_CASE("a file in a folder that is not there cannot be created or mapped") {
  const TemporaryFolder folder;
  const std::string path = folder.file("no/such/file");
  CHECK(errno_of([&] { const FileWriter writer(path); }) == ENOENT);
  CHECK(errno_of([&] { const Mapping mapping(path); }) == ENOENT);
}

TEST_CASE("a folder is not mapped as a file") {
  const TemporaryFolder folder;
  CHECK(errno_of([&] { const Mapping mapping(folder.file(".")); }) == EINVAL);
}

Content content_of(const Mapping& mapping) { return {mapping.bytes().begin(), mapping.bytes().end()}; }

TEST_CASE("an empty file and a large one are mapped whole") {
  const TemporaryFolder folder;
  put_file(folder.file("empty"), {});
  CHECK(Mapping(folder.file("empty")).bytes().empty());
  Content bytes(3'000'001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 7 + i / 251);
  put_file(folder.file("large"), bytes);
  CHECK((content_of(Mapping(folder.file("large"))) == bytes));
}

TEST_CASE("what is written to a mapping stays in it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  put_file(path, Content(10'000, 3));
  const Mapping first(path);
  const Mapping second(path);
  first.bytes()[5000] = 9;
  CHECK(first.bytes()[5000] == 9);
  CHECK(second.bytes()[5000] == 3);
  CHECK(read_file(path) == Content(10'000, 3));
}

TEST_CASE("a mapping outlives its file, removed or replaced") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  put_file(path, Content(100'000, 3));
  const Mapping mapping(path);
  put_file(folder.file("b"), Content(10, 4));
  std::filesystem::rename(folder.file("b"), path);
  CHECK((content_of(mapping) == Content(100'000, 3)));
  std::filesystem::remove(path);
  CHECK((content_of(mapping) == Content(100'000, 3)));
}

}  // namespace
}  // namespace vdb
