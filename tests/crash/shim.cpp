// Preloaded into a Python process: sees every call that changes a file below one folder, of vdb and of DuckDB alike.
//
// It counts the calls, writes them to a tape (shim.py reads it), and at one of them kills the process or lets it fail.
// Control is by the functions tape_*; a process that calls none of them is left alone.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

namespace {

enum Kind : std::uint32_t { kCreate = 1, kWrite, kTruncate, kAllocate, kSync, kRename, kUnlink, kMkdir, kRmdir, kMark };
enum Action { kNone, kKillBefore, kKillAfter, kKillMiddle, kFailOnce, kFailOn, kShort };

struct Record {
  std::uint32_t kind;
  std::uint32_t path_bytes;
  std::uint32_t other_bytes;
  std::uint32_t data_bytes;
  std::uint64_t offset;
  std::uint64_t size;
};

struct Step {
  Kind kind;
  std::string path;
  std::string other;
  const void* data = nullptr;
  std::size_t bytes = 0;
  std::uint64_t offset = 0;
};

std::mutex guard;
std::string root;
int tape = -1;
long count = 0;
long fired = 0;
long planned_at = -1;
Action action = kNone;
int error_number = 0;

std::string path_of(int fd) {
  std::array<char, PATH_MAX> buffer;
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ::ssize_t n = ::readlink(link.c_str(), buffer.data(), buffer.size());
  return n < 0 ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(n));
}

std::string absolute(int folder, const char* path) {
  if (path[0] == '/') return path;
  std::array<char, PATH_MAX> buffer;
  const std::string base = folder != AT_FDCWD ? path_of(folder) : ::getcwd(buffer.data(), buffer.size());
  return base + "/" + path;
}

bool watched(const std::string& path) { return !root.empty() && path.compare(0, root.size(), root) == 0; }

void put(const void* data, std::size_t size) {
  const auto* p = static_cast<const char*>(data);
  while (size > 0) {
    const long n = ::syscall(SYS_write, tape, p, size);
    if (n <= 0) std::abort();
    p += n;
    size -= static_cast<std::size_t>(n);
  }
}

void log(const Step& step, std::size_t bytes) {
  if (tape < 0) return;
  const std::size_t held = step.data == nullptr ? 0 : bytes;
  const Record record{step.kind,
                      static_cast<std::uint32_t>(step.path.size()),
                      static_cast<std::uint32_t>(step.other.size()),
                      static_cast<std::uint32_t>(held),
                      step.offset,
                      bytes};
  put(&record, sizeof record);
  put(step.path.data(), step.path.size());
  put(step.other.data(), step.other.size());
  put(step.data, held);
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

// A full disk refuses what needs room; an error of the device may meet any call.
bool can_fail(Kind kind) {
  const bool needs_room = kind == kCreate || kind == kWrite || kind == kAllocate || kind == kMkdir;
  return error_number != ENOSPC || needs_room;
}

// `call(bytes)` does it and returns what the system would; only a write makes use of the number.
template <class Call>
long run(const Step& step, Call call) {
  if (!watched(step.path) && !watched(step.other)) return call(step.bytes);
  const std::lock_guard<std::mutex> lock(guard);
  const long number = ++count;
  const bool here = number == planned_at;
  if (here && action == kKillBefore) die();
  if (here && action == kKillMiddle) {
    if (step.kind == kWrite) call(step.bytes / 2);
    die();
  }
  if ((here && action == kFailOnce) || (number >= planned_at && action == kFailOn)) {
    if (can_fail(step.kind)) {
      ++fired;
      errno = error_number;
      return -1;
    }
  }
  std::size_t bytes = step.bytes;
  if (here && action == kShort && step.kind == kWrite && bytes > 1) {
    ++fired;
    bytes /= 2;
  }
  const long result = call(bytes);
  const int kept = errno;
  if (result >= 0) log(step, step.kind == kWrite ? static_cast<std::size_t>(result) : bytes);
  if (here && action == kKillAfter) die();
  errno = kept;
  return result;
}

std::uint64_t position(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return static_cast<std::uint64_t>((flags & O_APPEND) != 0 ? ::lseek(fd, 0, SEEK_END) : ::lseek(fd, 0, SEEK_CUR));
}

int open_at(int folder, const char* path, int flags, ::mode_t mode) {
  const auto call = [&](std::size_t) { return ::syscall(SYS_openat, folder, path, flags, mode); };
  if (root.empty() || (flags & (O_CREAT | O_TRUNC)) == 0) return static_cast<int>(call(0));
  const std::string full = absolute(folder, path);
  if (::access(full.c_str(), F_OK) != 0) return static_cast<int>(run(Step{kCreate, full, ""}, call));
  if ((flags & O_TRUNC) != 0) return static_cast<int>(run(Step{kTruncate, full, ""}, call));
  return static_cast<int>(call(0));
}

long write_at(int fd, const void* data, std::size_t bytes, std::uint64_t offset, bool positioned) {
  const auto call = [&](std::size_t n) {
    return positioned ? ::syscall(SYS_pwrite64, fd, data, n, offset) : ::syscall(SYS_write, fd, data, n);
  };
  if (root.empty()) return call(bytes);
  const std::string path = path_of(fd);
  return run(Step{kWrite, path, "", data, bytes, positioned ? offset : position(fd)}, call);
}

template <class Call>
long of_descriptor(Kind kind, int fd, std::uint64_t size, Call call) {
  return run(Step{kind, root.empty() ? "" : path_of(fd), "", nullptr, static_cast<std::size_t>(size)},
             [&](std::size_t) { return call(); });
}

template <class Call>
long of_path(Kind kind, int folder, const char* path, Call call) {
  return run(Step{kind, root.empty() ? "" : absolute(folder, path), ""}, [&](std::size_t) { return call(); });
}

int rename_at(int from, const char* old_path, int to, const char* new_path) {
  const Step step{kRename, root.empty() ? "" : absolute(from, old_path), root.empty() ? "" : absolute(to, new_path)};
  return static_cast<int>(
      run(step, [&](std::size_t) { return ::syscall(SYS_renameat, from, old_path, to, new_path); }));
}

int unlink_at(int folder, const char* path, int flags) {
  const Kind kind = (flags & AT_REMOVEDIR) != 0 ? kRmdir : kUnlink;
  return static_cast<int>(of_path(kind, folder, path, [&] { return ::syscall(SYS_unlinkat, folder, path, flags); }));
}

::mode_t mode_of(int flags, std::va_list arguments) {
  return (flags & O_CREAT) != 0 ? static_cast<::mode_t>(va_arg(arguments, int)) : 0;
}

int allocate(int fd, int mode, ::off_t offset, ::off_t size) {
  const auto end = static_cast<std::uint64_t>(offset + size);
  return static_cast<int>(
      of_descriptor(kAllocate, fd, end, [&] { return ::syscall(SYS_fallocate, fd, mode, offset, size); }));
}

int cut(int fd, ::off_t size) {
  const auto bytes = static_cast<std::uint64_t>(size);
  return static_cast<int>(of_descriptor(kTruncate, fd, bytes, [&] { return ::syscall(SYS_ftruncate, fd, size); }));
}

}  // namespace

extern "C" {

// Watch the calls on paths that begin with `folder`, and write them to the descriptor `log` unless it is negative.
void tape_start(const char* folder, int log) {
  const std::lock_guard<std::mutex> lock(guard);
  root = folder;
  tape = log;
  count = fired = 0;
}

void tape_plan(long at, int what, int number) {
  planned_at = at;
  action = static_cast<Action>(what);
  error_number = number;
}

long tape_count() { return count; }
long tape_fired() { return fired; }

void tape_mark(long value) {
  const std::lock_guard<std::mutex> lock(guard);
  log(Step{kMark, "", ""}, static_cast<std::size_t>(value));
}

int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const ::mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const ::mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const ::mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const ::mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_at(folder, path, flags, mode);
}

::ssize_t write(int fd, const void* data, std::size_t bytes) { return write_at(fd, data, bytes, 0, false); }
::ssize_t pwrite(int fd, const void* data, std::size_t bytes, ::off_t offset) {
  return write_at(fd, data, bytes, static_cast<std::uint64_t>(offset), true);
}
::ssize_t pwrite64(int fd, const void* data, std::size_t bytes, ::off64_t offset) {
  return write_at(fd, data, bytes, static_cast<std::uint64_t>(offset), true);
}

int fsync(int fd) {
  return static_cast<int>(of_descriptor(kSync, fd, 0, [&] { return ::syscall(SYS_fsync, fd); }));
}
int fdatasync(int fd) {
  return static_cast<int>(of_descriptor(kSync, fd, 0, [&] { return ::syscall(SYS_fdatasync, fd); }));
}

int ftruncate(int fd, ::off_t size) noexcept { return cut(fd, size); }
int ftruncate64(int fd, ::off64_t size) noexcept { return cut(fd, size); }
int fallocate(int fd, int mode, ::off_t offset, ::off_t size) { return allocate(fd, mode, offset, size); }
int fallocate64(int fd, int mode, ::off64_t offset, ::off64_t size) { return allocate(fd, mode, offset, size); }
int posix_fallocate(int fd, ::off_t offset, ::off_t size) { return allocate(fd, 0, offset, size) < 0 ? errno : 0; }
int posix_fallocate64(int fd, ::off64_t offset, ::off64_t size) {
  return allocate(fd, 0, offset, size) < 0 ? errno : 0;
}

int rename(const char* from, const char* to) noexcept { return rename_at(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from, const char* old_path, int to, const char* new_path) noexcept {
  return rename_at(from, old_path, to, new_path);
}
int unlink(const char* path) noexcept { return unlink_at(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char* path, int flags) noexcept { return unlink_at(folder, path, flags); }
int rmdir(const char* path) noexcept { return unlink_at(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char* path) noexcept {
  struct stat status{};
  const bool folder = ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
  return unlink_at(AT_FDCWD, path, folder ? AT_REMOVEDIR : 0);
}
int mkdirat(int folder, const char* path, ::mode_t mode) noexcept {
  return static_cast<int>(of_path(kMkdir, folder, path, [&] { return ::syscall(SYS_mkdirat, folder, path, mode); }));
}
int mkdir(const char* path, ::mode_t mode) noexcept { return mkdirat(AT_FDCWD, path, mode); }

}  // extern "C"
