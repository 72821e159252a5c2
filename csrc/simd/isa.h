// Which kernel level this process uses. Chosen once: the best the CPU and the system support, or what VDB_ISA names.
#pragma once

#include <string_view>
#include <vector>

namespace vdb {

enum class Isa { kScalar, kNeon, kAvx2, kAvx512 };

std::string_view name_of(Isa isa) noexcept;

// Levels that are compiled in and that this machine can run, lowest first.
const std::vector<Isa>& available_isas();

// The level in use. InvalidArgument where VDB_ISA names none of available_isas().
Isa active_isa();

}  // namespace vdb
