#include "base/error.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

#include "base/check.h"

namespace vdb {
namespace {

template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a damage names path, section, byte, what was expected and what was found") {
  const Damage damage{"a/b.idx", "params", 96, "M from 2 to 1024", "1"};
  CHECK(message_of([&] { throw Corrupted(damage); }) ==
        "a/b.idx: params at byte 96: expected M from 2 to 1024, found 1");
  const FormatVersionError error(damage);
  CHECK(error.damage.offset == 96);
  CHECK_THROWS_AS(throw error, Corrupted);
}

TEST_CASE("an error of the system keeps its path and its number") {
  const IoError error("cannot open", "x.idx", ENOENT);
  CHECK(error.code == ENOENT);
  CHECK(error.path == "x.idx");
  CHECK(std::string(error.what()) == "cannot open x.idx: No such file or directory");
}

TEST_CASE("a check that fails throws and builds its message only then") {
  int built = 0;
  const auto message = [&] {
    ++built;
    return std::string("k must be at least 1");
  };
  CHECK_NOTHROW([&] { VDB_CHECK(1 > 0, message()); }());
  CHECK(built == 0);
  CHECK_THROWS_WITH_AS([&] { VDB_CHECK(1 < 0, message()); }(), "k must be at least 1", InvalidArgument);
  CHECK(built == 1);
}

}  // namespace
}  // namespace vdb
