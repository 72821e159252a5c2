#include "base/error.h"

#include <cstring>
#include <utility>

namespace vdb {
namespace {

std::string describe(const Damage& damage) {
  return damage.path + ": " + damage.section + " at byte " + std::to_string(damage.offset) + ": expected " +
         damage.expected + ", found " + damage.found;
}

}  // namespace

Corrupted::Corrupted(Damage where) : Error(describe(where)), damage(std::move(where)) {}

IoError::IoError(const std::string& what, const std::string& where, int errno_code)
    : Error(what + " " + where + ": " + std::strerror(errno_code)), path(where), code(errno_code) {}

}  // namespace vdb
