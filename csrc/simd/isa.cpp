#include "simd/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"

namespace vdb {
namespace {

std::vector<Isa> detect() {
  std::vector<Isa> isas{Isa::kScalar};
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks the operating system whether it saves the wide registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    isas.push_back(Isa::kAvx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
      isas.push_back(Isa::kAvx512);
    }
  }
#elif defined(__aarch64__)
  isas.push_back(Isa::kNeon);
#endif
  return isas;
}

Isa choose() {
  const auto& isas = available_isas();
  const char* forced = std::getenv("VDB_ISA");
  if (forced == nullptr || *forced == '\0') return isas.back();
  const auto found = std::find_if(isas.begin(), isas.end(), [&](Isa isa) { return name_of(isa) == forced; });
  if (found != isas.end()) return *found;
  std::string known;
  for (const Isa isa : isas) known.append(known.empty() ? "" : ", ").append(name_of(isa));
  throw InvalidArgument("VDB_ISA is '" + std::string(forced) + "'; this machine has " + known +
                        ". Unset VDB_ISA to use the best.");
}

}  // namespace

std::string_view name_of(Isa isa) noexcept {
  switch (isa) {
    case Isa::kScalar: return "scalar";
    case Isa::kNeon: return "neon";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
  }
  return "unknown";
}

const std::vector<Isa>& available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa active_isa() {
  static const Isa isa = choose();
  return isa;
}

}  // namespace vdb
