// What every kernel file exports: its table, and nothing else. Only simd/kernels.cpp and the kernel files see this.
#pragma once

#include "simd/kernels.h"

namespace vdb {

namespace scalar {
extern const DistanceKernelsF32 kDistanceF32;
}
namespace neon {
extern const DistanceKernelsF32 kDistanceF32;
}
namespace avx2 {
extern const DistanceKernelsF32 kDistanceF32;
}
namespace avx512 {
extern const DistanceKernelsF32 kDistanceF32;
}

}  // namespace vdb
