// Which kernel level this process uses. Chosen once: the best the CPU and the system support, or what VDB_ISA names.
#pragma once

#include <string_view>
#include <vector>

namespace vdb {

// Each level runs what the levels before it of the same architecture run.
// kAvx512Vnni: VNNI, BF16, VPOPCNTDQ and VBMI (Zen 4, Sapphire Rapids and later). kNeonDotprod: the dot product of
// int8.
enum class Isa { kScalar, kNeon, kNeonDotprod, kAvx2, kAvx512, kAvx512Vnni };

std::string_view name_of(Isa isa) noexcept;

// Levels that are compiled in and that this machine can run, lowest first.
const std::vector<Isa>& available_isas();

// The level in use. InvalidArgument where VDB_ISA names none of available_isas().
Isa active_isa();

}  // namespace vdb
