#include "io/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/error.h"

namespace vdb {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) noexcept : value_(value) {}
  ~Descriptor() { ::close(value_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return value_; }

 private:
  int value_;
};

}  // namespace

FileWriter::FileWriter(std::string path)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) throw IoError("cannot create", path_, errno);
}

FileWriter::~FileWriter() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  std::remove(path_.c_str());
}

void FileWriter::write(const void* data, std::size_t size) {
  const auto* p = static_cast<const unsigned char*>(data);
  while (size > 0) {
    const ::ssize_t n = ::write(descriptor_, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw IoError("cannot write", path_, errno);
    p += n;
    size -= static_cast<std::size_t>(n);
    written_ += static_cast<std::uint64_t>(n);
  }
}

void FileWriter::finish() {
  if (::fsync(descriptor_) != 0) throw IoError("cannot flush", path_, errno);
  if (::close(std::exchange(descriptor_, -1)) != 0) throw IoError("cannot close", path_, errno);
}

Mapping::Mapping(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw IoError("cannot open", path, errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw IoError("cannot examine", path, errno);
  if (!S_ISREG(status.st_mode)) throw IoError("not a regular file", path, EINVAL);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return;  // nothing to map is an error of mmap
  void* const address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw IoError("cannot map", path, errno);
  ::madvise(address, size, MADV_WILLNEED);  // advice only: a refusal costs speed
  bytes_ = {static_cast<unsigned char*>(address), size};
}

Mapping::~Mapping() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace vdb
