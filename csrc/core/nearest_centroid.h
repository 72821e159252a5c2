// Which centroid each of many rows is nearest to, by squared l2: the inner loop of k-means and of everything that
// encodes rows by centroids. Works in tiles, so memory does not grow with rows times centroids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cancel.h"
#include "core/matrix_view.h"

namespace vdb {

// (n) each. The first of equally near centroids; centroid 0 at +inf where all distances overflow.
struct NearestOut {
  std::uint32_t* centroids;
  float* distances;
};

struct NearestLoop {
  std::size_t threads = 0;        // 0: all
  CancelToken* cancel = nullptr;  // may be null
};

class NearestCentroid {
 public:
  // Keeps a view of the centroids, at least one, at most 2^32 - 1.
  explicit NearestCentroid(const MatrixView& centroids);

  // Thread-safe; the same answer for any number of threads. Cancelled leaves `out` half written.
  void find(const MatrixView& rows, const NearestLoop& loop, const NearestOut& out) const;

 private:
  void find_by_columns(const MatrixView& rows, const NearestOut& out) const;
  void find_by_tiles(const MatrixView& rows, const NearestOut& out) const;

  MatrixView centroids_;
  std::size_t tile_;            // centroids that stay in the second-level cache
  std::vector<float> columns_;  // of short rows: tiles of centroids by dimension
};

}  // namespace vdb
