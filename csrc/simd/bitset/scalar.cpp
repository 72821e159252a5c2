// Bitmaps a word at a time: the reference the other levels are tested against, and the fallback.
#include "simd/tables.h"

namespace vdb::scalar {
namespace {

#include "simd/bitset/driver.h"

}  // namespace

extern const BitsetKernels kBitset = table<Word>();

}  // namespace vdb::scalar
