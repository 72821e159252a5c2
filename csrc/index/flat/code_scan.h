// Exact search over codes: intervals from the codes decide which rows can be among the nearest, and only those are read
// and measured. Where the codec is `kBounded` the answer is that of scan(), at a fraction of the bytes; else a row
// whose interval misses its distance may be missing.
#pragma once

#include <cstddef>

#include "codec/code_store.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"

namespace vdb {

// Scans the allowed slots in [begin, view.n): by code those that `codes` covers, by vector the others. InvalidArgument
// where the codes are of other vectors, Cancelled.
SearchStats scan_codes(const CodeStore::Snapshot& codes, const VectorView& view, const QueryBatch& batch,
                       std::size_t begin, const Answers& answers);

}  // namespace vdb
