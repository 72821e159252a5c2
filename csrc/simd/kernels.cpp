#include "simd/kernels.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "simd/tables.h"

namespace vdb {
namespace {

// Each family's table of the highest level it has up to `isa`.
Kernels assemble([[maybe_unused]] Isa isa) {
  Kernels k{};
  k.distance_f32 = scalar::kDistanceF32;
  k.distance_f16 = scalar::kDistanceF16;
  k.distance_bf16 = scalar::kDistanceBf16;
  k.distance_i8 = scalar::kDistanceI8;
  k.code = scalar::kCode;
  k.bit_code = scalar::kBitCode;
  k.bitset = scalar::kBitset;
  k.rotation = scalar::kRotation;
  k.pq = scalar::kPq;
  k.packed_scan = scalar::kPackedScan;
#if defined(__x86_64__)
  if (isa >= Isa::kAvx2) {
    k.distance_f32 = avx2::kDistanceF32;
    k.distance_f16 = avx2::kDistanceF16;
    k.distance_bf16 = avx2::kDistanceBf16;
    k.distance_i8 = avx2::kDistanceI8;
    k.code = avx2::kCode;
    k.bit_code = avx2::kBitCode;
    k.bitset = avx2::kBitset;
    k.rotation = avx2::kRotation;
    k.pq = avx2::kPq;
    k.packed_scan = avx2::kPackedScan;
  }
  if (isa >= Isa::kAvx512) {
    k.distance_f32 = avx512::kDistanceF32;
    k.distance_f16 = avx512::kDistanceF16;
    k.distance_bf16 = avx512::kDistanceBf16;
    k.distance_i8 = avx512::kDistanceI8;
    k.code = avx512::kCode;
    k.bit_code = avx512::kBitCode;
    k.bitset = avx512::kBitset;
    k.rotation = avx512::kRotation;
  }
  if (isa >= Isa::kAvx512Vnni) {
    k.distance_bf16.inner_product = avx512_vnni::kInnerProductBf16;
    k.distance_i8 = avx512_vnni::kDistanceI8;
    k.code = avx512_vnni::kCode;
    k.bit_code = avx512_vnni::kBitCode;
    k.bitset = avx512_vnni::kBitset;
  }
#elif defined(__aarch64__)
  if (isa >= Isa::kNeon) {
    k.distance_f32 = neon::kDistanceF32;
    k.distance_f16 = neon::kDistanceF16;
    k.distance_bf16 = neon::kDistanceBf16;
    k.distance_i8 = neon::kDistanceI8;
    k.code = neon::kCode;
    k.bit_code = neon::kBitCode;
    k.bitset = neon::kBitset;
    k.rotation = neon::kRotation;
    k.pq = neon::kPq;
    k.packed_scan = neon::kPackedScan;
  }
  if (isa >= Isa::kNeonDotprod) {
    k.distance_i8 = neon_dotprod::kDistanceI8;
    k.code = neon_dotprod::kCode;
  }
#endif
  return k;
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
    case Isa::kNeonDotprod: return table<Isa::kNeonDotprod>();
    case Isa::kAvx2: return table<Isa::kAvx2>();
    case Isa::kAvx512: return table<Isa::kAvx512>();
    case Isa::kAvx512Vnni: return table<Isa::kAvx512Vnni>();
  }
  return table<Isa::kScalar>();
}

const Kernels& kernels() {
  static const Kernels& active = kernels_for(active_isa());
  return active;
}

}  // namespace vdb
