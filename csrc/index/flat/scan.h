// Exact search: every allowed row against every query. What a table without an index does, what the planner falls back
// on, and the oracle of every recall test.
#pragma once

#include <cstddef>

#include "core/search_batch.h"
#include "core/search_stats.h"
#include "core/vectors.h"

namespace vdb {

// Scans the allowed slots in [begin, view.n). `batch.rows`, where given, must cover view.n slots.
SearchStats scan(const VectorView& view, const QueryBatch& batch, std::size_t begin, const Answers& answers);

}  // namespace vdb
