// Exact search over codes: intervals from the codes decide which rows can be among the nearest, and only those are read
// and measured. Where the codec is `kBounded` the answer is that of scan(), at a fraction of the bytes; else a row
// whose interval misses its distance may be missing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "codec/code_store.h"
#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"

namespace vdb {

// Scans the allowed slots in [begin, view.n): by code those that `codes` covers, by vector the others, and all where
// there are no codes. Codes of RaBitQ are read in stages (sign_scan.h). InvalidArgument where the codes are of other
// vectors, Cancelled.
SearchStats scan_codes(const CodeStore::Snapshot& codes, const VectorView& view, const QueryBatch& batch,
                       std::size_t begin, const Answers& answers);

// A list of slots for each query, in any order: (nq, width), padded with kAbsentSlot.
struct SlotLists {
  const Slot* slots;
  std::size_t width;

  std::span<const Slot> of(std::size_t q) const {
    const Slot* const first = slots + q * width;
    return {first, std::find(first, first + width, kAbsentSlot)};
  }
};

// The same for the slots of each query's list, whatever rows `batch` allows. InvalidArgument where a slot is not below
// view.n.
SearchStats scan_lists(const CodeStore::Snapshot& codes, const VectorView& view, const QueryBatch& batch,
                       const SlotLists& lists, const Answers& answers);

}  // namespace vdb
