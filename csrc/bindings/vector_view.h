// VectorView as Python holds it: the view and the arrays it points into.
#pragma once

#include "bindings/arrays.h"
#include "core/vectors.h"

namespace vdb::bindings {

struct OwnedView {
  VectorView view;
  py::object owners;
};

// The batch a search call describes; checks the queries against the view.
inline QueryBatch query_batch(const OwnedView& owned, const py::array& queries, std::size_t k, const RowSet* rows,
                              std::size_t threads) {
  const Matrix q = matrix(queries, "queries");
  VDB_CHECK(q.columns == owned.view.dim, "the queries have " + std::to_string(q.columns) + " dimensions, the vectors " +
                                             std::to_string(owned.view.dim));
  VDB_CHECK(q.dtype == owned.view.dtype, "the queries are " + std::string(name_of(q.dtype)) + ", the vectors " +
                                             std::string(name_of(owned.view.dtype)) + ": convert the queries");
  VDB_CHECK(k >= 1, "k must be at least 1");
  return {q.data, q.rows, k, rows, threads, nullptr};
}

}  // namespace vdb::bindings
