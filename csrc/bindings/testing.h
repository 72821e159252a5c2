// What the test and bench submodule shares.
#pragma once

#include <string>

#include "simd/kernels.h"

namespace vdb::bindings {

// The kernels of the level of that name; InvalidArgument where this machine has none.
const Kernels& kernels_of_level(const std::string& isa);

}  // namespace vdb::bindings
