// VectorView as Python holds it: the view and the arrays it points into.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "bindings/arrays.h"
#include "core/vectors.h"

namespace vdb::bindings {

struct OwnedView {
  VectorView view;
  py::object owners;
  std::string custom_name;
};

// The view for one call of the core, which other calls share no count of failures with.
class CallView {
 public:
  explicit CallView(const OwnedView& owned) : name_(owned.custom_name), view_(owned.view) {
    view_.custom.failures = &failures_;
  }
  CallView(const CallView&) = delete;
  CallView& operator=(const CallView&) = delete;

  const VectorView& view() const noexcept { return view_; }

  // MetricError where the metric failed during the call.
  void check() const {
    const std::uint64_t raised = failures_.raised.load(std::memory_order_relaxed);
    const std::uint64_t nan = failures_.nan.load(std::memory_order_relaxed);
    if (raised + nan == 0) return;
    std::string what = raised == 0 ? "" : "raised an exception for " + std::to_string(raised);
    if (nan != 0) what += (raised == 0 ? "" : " and ") + ("was NaN for " + std::to_string(nan));
    throw MetricError("metric '" + name_ + "' " + what +
                      " of the distances of this call; expected a number for every " +
                      "pair of vectors.\n  Fix: call the metric on two vectors to see why, " +
                      "and return inf where there is no distance.");
  }

 private:
  const std::string& name_;
  MetricFailures failures_;
  VectorView view_;
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
