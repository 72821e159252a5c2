// The errors the core throws. bindings/errors.cpp turns each into the Python class of the same name.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace vdb {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The caller passed something outside the documented contract.
struct InvalidArgument : Error {
  using Error::Error;
};

// A distance that the caller wrote failed: it raised, or it is NaN.
struct MetricError : InvalidArgument {
  using InvalidArgument::InvalidArgument;
};

// The object cannot do this in its present state.
struct InvalidState : Error {
  using Error::Error;
};

// The caller's cancel token fired; the object is valid and holds everything finished before.
struct Cancelled : Error {
  Cancelled() : Error("the call was cancelled") {}
};

// Where a file departs from its format, and how.
struct Damage {
  std::string path;
  std::string section;
  std::uint64_t offset = 0;
  std::string expected;
  std::string found;
};

struct Corrupted : Error {
  explicit Corrupted(Damage damage);
  Damage damage;
};

struct FormatVersionError : Corrupted {
  using Corrupted::Corrupted;
};

// The operating system refused; `code` is errno.
struct IoError : Error {
  IoError(const std::string& what, const std::string& path, int code);
  std::string path;
  int code;
};

}  // namespace vdb
