// What every kernel file exports: its table, and nothing else. Only simd/kernels.cpp and the kernel files see this.
// A level need not have every table: kernels.cpp names those there are.
#pragma once

#include "base/prefetch.h"  // always inlined, so no copy of it is compiled for a level
#include "simd/kernels.h"

namespace vdb {

namespace scalar {
extern const DistanceKernels kDistanceF32;
extern const DistanceKernels kDistanceF16;
extern const DistanceKernels kDistanceBf16;
extern const DistanceKernels kDistanceI8;
extern const CodeKernels kCode;
extern const BitCodeKernels kBitCode;
extern const BitsetKernels kBitset;
extern const RotationKernels kRotation;
extern const PqKernels kPq;
extern const PackedScanKernels kPackedScan;
}  // namespace scalar
namespace neon {
extern const DistanceKernels kDistanceF32;
extern const DistanceKernels kDistanceF16;
extern const DistanceKernels kDistanceBf16;
extern const DistanceKernels kDistanceI8;
extern const CodeKernels kCode;
extern const BitCodeKernels kBitCode;
extern const BitsetKernels kBitset;
extern const RotationKernels kRotation;
extern const PqKernels kPq;
extern const PackedScanKernels kPackedScan;
}  // namespace neon
namespace neon_dotprod {
extern const DistanceKernels kDistanceF32;
extern const DistanceKernels kDistanceF16;
extern const DistanceKernels kDistanceBf16;
extern const DistanceKernels kDistanceI8;
extern const CodeKernels kCode;
extern const BitCodeKernels kBitCode;
extern const BitsetKernels kBitset;
extern const RotationKernels kRotation;
extern const PqKernels kPq;
}  // namespace neon_dotprod
namespace avx2 {
extern const DistanceKernels kDistanceF32;
extern const DistanceKernels kDistanceF16;
extern const DistanceKernels kDistanceBf16;
extern const DistanceKernels kDistanceI8;
extern const CodeKernels kCode;
extern const BitCodeKernels kBitCode;
extern const BitsetKernels kBitset;
extern const RotationKernels kRotation;
extern const PqKernels kPq;
extern const PackedScanKernels kPackedScan;
}  // namespace avx2
namespace avx512 {
extern const DistanceKernels kDistanceF32;
extern const DistanceKernels kDistanceF16;
extern const DistanceKernels kDistanceBf16;
extern const DistanceKernels kDistanceI8;
extern const CodeKernels kCode;
extern const BitCodeKernels kBitCode;
extern const BitsetKernels kBitset;
extern const RotationKernels kRotation;
extern const PqKernels kPq;
}  // namespace avx512
namespace avx512_vnni {
extern const DistanceKernels::Forms kInnerProductBf16;
extern const DistanceKernels kDistanceF32;
extern const DistanceKernels kDistanceF16;
extern const DistanceKernels kDistanceBf16;
extern const DistanceKernels kDistanceI8;
extern const CodeKernels kCode;
extern const BitCodeKernels kBitCode;
extern const BitsetKernels kBitset;
extern const RotationKernels kRotation;
extern const PqKernels kPq;
}  // namespace avx512_vnni

}  // namespace vdb
