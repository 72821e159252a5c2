// What a loader asks of a section that has passed its checksum and may still make no sense.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "io/container.h"

namespace vdb {

// Corrupted unless it `holds`.
inline void require(bool holds, const Container& file, const char* section, const std::string& expected,
                    std::uint64_t found) {
  if (!holds) throw Corrupted({file.path(), section, 0, expected, std::to_string(found)});
}

}  // namespace vdb
