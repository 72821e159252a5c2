#include "simd/kernels.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "simd/tables.h"

namespace vdb {
namespace {

Kernels assemble(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx2: return {avx2::kDistanceF32};
    case Isa::kAvx512: return {avx512::kDistanceF32};
#elif defined(__aarch64__)
    case Isa::kNeon: return {neon::kDistanceF32};
#endif
    default: return {scalar::kDistanceF32};
  }
}

template <Isa isa>
const Kernels& table() {
  static const Kernels kernels = assemble(isa);
  return kernels;
}

}  // namespace

const Kernels& kernels_for(Isa isa) {
  const auto& isas = available_isas();
  if (std::find(isas.begin(), isas.end(), isa) == isas.end()) {
    throw InvalidArgument("this machine cannot run " + std::string(name_of(isa)) + " kernels");
  }
  switch (isa) {
    case Isa::kScalar: return table<Isa::kScalar>();
    case Isa::kNeon: return table<Isa::kNeon>();
    case Isa::kAvx2: return table<Isa::kAvx2>();
    case Isa::kAvx512: return table<Isa::kAvx512>();
  }
  return table<Isa::kScalar>();
}

const Kernels& kernels() {
  static const Kernels& active = kernels_for(active_isa());
  return active;
}

}  // namespace vdb
