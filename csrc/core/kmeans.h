// k-means by Lloyd's iteration (1982), seeded by k-means++ (Arthur and Vassilvitskii, SODA 2007) on a sample, some
// seeds at a time. The same centroids for any number of threads. Memory grows with rows plus centroids, never with
// their product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/cancel.h"
#include "core/matrix_view.h"

namespace vdb {

struct KMeansParams {
  std::size_t k;                // from 1 to the number of rows
  std::size_t iterations = 10;  // at most; 0 returns the seeds
  std::uint64_t seed = 0;
  std::size_t threads = 0;         // 0: all
  const float* initial = nullptr;  // (k, dim) centroids to start from; null seeds them
};

struct KMeansControl {
  CancelToken* cancel = nullptr;  // may be null; fires Cancelled
  // Iterations, on the calling thread; may be empty.
  std::function<void(std::size_t done, std::size_t total)> progress = {};
};

struct KMeans {
  std::vector<float> centroids;  // (k, dim)
  double inertia = 0;            // sum of squared distances at the last assignment; the last update only lowers it
  std::size_t iterations = 0;    // done; fewer than asked for where nothing changed any more
};

// Squared l2. A cluster that loses all rows starts again from the farthest row of the cluster with the greatest sum of
// squares; where there are fewer distinct rows than k, centroids repeat. InvalidArgument where k is out of range, the
// rows have no dimensions or a value is not finite.
KMeans kmeans(const MatrixView& rows, const KMeansParams& params, const KMeansControl& control = {});

}  // namespace vdb
