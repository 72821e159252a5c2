#include "simd/isa.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/error.h"

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vdb {
namespace {

#if defined(__aarch64__)
bool has_dot_product() noexcept {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__APPLE__)
  return true;  // every Apple processor of this architecture
#else
  return false;
#endif
}
#endif

#if defined(__x86_64__)
// Older Clangs do not know it by name.
bool has_half_conversions() noexcept {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & static_cast<unsigned>(bit_F16C)) != 0;
}
#endif

std::vector<Isa> detect() {
  std::vector<Isa> isas{Isa::kScalar};
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks the operating system whether it saves the wide registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_half_conversions()) {
    isas.push_back(Isa::kAvx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
      isas.push_back(Isa::kAvx512);
      if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16") &&
          __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vbmi")) {
        isas.push_back(Isa::kAvx512Vnni);
      }
    }
  }
#elif defined(__aarch64__)
  isas.push_back(Isa::kNeon);
  if (has_dot_product()) isas.push_back(Isa::kNeonDotprod);
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
    case Isa::kNeonDotprod: return "neon_dotprod";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Vnni: return "avx512_vnni";
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
