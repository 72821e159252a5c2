#include "core/nearest_centroid.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

// Up to here centroids by dimension are faster than a distance kernel, which has to add up its registers for every
// distance: on Zen 4 about 6 times at 8 dimensions, twice at 32; from 64 to 96 on they are slower.
constexpr std::size_t kShortDim = 48;
constexpr std::size_t kTileBytes = std::size_t{1} << 18;  // half of a small second-level cache
constexpr std::size_t kMaxTile = 1024;
constexpr std::size_t kMinTile = PqKernels::kColumns;
constexpr std::size_t kGroupRows = 32;  // rows a tile of centroids is compared with at once
constexpr std::size_t kChunkRows = 256;

std::size_t round_up(std::size_t n, std::size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

std::size_t tile_of(const MatrixView& centroids) {
  const std::size_t fitting = kTileBytes / (centroids.dim * sizeof(float)) / kMinTile * kMinTile;
  return std::min(std::clamp(fitting, kMinTile, kMaxTile), round_up(centroids.n, kMinTile));
}

void clear(const NearestOut& out, std::size_t n) {
  std::fill_n(out.centroids, n, 0U);
  std::fill_n(out.distances, n, std::numeric_limits<float>::infinity());
}

}  // namespace

NearestCentroid::NearestCentroid(const MatrixView& centroids) : centroids_(centroids), tile_(tile_of(centroids)) {
  VDB_CHECK(centroids.n > 0 && centroids.n <= std::numeric_limits<std::uint32_t>::max(),
            std::to_string(centroids.n) + " centroids; expected from 1 to 4294967295");
  if (centroids.dim > kShortDim) return;
  columns_.resize(round_up(centroids.n, tile_) * centroids.dim);
  for (std::size_t begin = 0; begin < centroids.n; begin += tile_) {
    float* const tile = columns_.data() + begin * centroids.dim;
    for (std::size_t c = 0; c < tile_; ++c) {
      const float* const centroid = centroids.row(begin + c < centroids.n ? begin + c : begin);
      for (std::size_t d = 0; d < centroids.dim; ++d) tile[d * tile_ + c] = centroid[d];
    }
  }
}

void NearestCentroid::find(const MatrixView& rows, const NearestLoop& loop, const NearestOut& out) const {
  VDB_CHECK(rows.dim == centroids_.dim, "rows of " + std::to_string(rows.dim) + " dimensions, centroids of " +
                                            std::to_string(centroids_.dim) + "; expected the same");
  parallel_for({rows.n, kChunkRows, loop.threads}, [&](const Chunk& chunk) {
    for (std::size_t begin = chunk.begin; begin < chunk.end; begin += kGroupRows) {
      if (loop.cancel != nullptr && loop.cancel->poll()) throw Cancelled();
      const MatrixView group{rows.row(begin), std::min(kGroupRows, chunk.end - begin), rows.dim};
      const NearestOut found{out.centroids + begin, out.distances + begin};
      columns_.empty() ? find_by_tiles(group, found) : find_by_columns(group, found);
    }
  });
}

void NearestCentroid::find_by_columns(const MatrixView& rows, const NearestOut& out) const {
  const PqKernels::Nearest nearest = kernels().pq.nearest;
  clear(out, rows.n);
  for (std::size_t begin = 0; begin < centroids_.n; begin += tile_) {
    const PqKernels::Columns columns{columns_.data() + begin * rows.dim, tile_, rows.dim};
    for (std::size_t r = 0; r < rows.n; ++r) {
      float distance;
      const std::uint32_t at = nearest(rows.row(r), columns, &distance);
      if (!(distance < out.distances[r])) continue;
      out.distances[r] = distance;
      out.centroids[r] = static_cast<std::uint32_t>(begin) + at;
    }
  }
}

void NearestCentroid::find_by_tiles(const MatrixView& rows, const NearestOut& out) const {
  const DistanceKernels::Tile tile = kernels().distance_f32.l2_squared.tile;
  clear(out, rows.n);
  std::vector<float> distances(rows.n * tile_);
  for (std::size_t begin = 0; begin < centroids_.n; begin += tile_) {
    const std::size_t width = std::min(tile_, centroids_.n - begin);
    tile({rows.data, rows.n}, {centroids_.row(begin), width}, rows.dim, distances.data());
    for (std::size_t r = 0; r < rows.n; ++r) {
      const float* const row = distances.data() + r * width;
      const auto least = static_cast<std::size_t>(std::min_element(row, row + width) - row);
      if (!(row[least] < out.distances[r])) continue;
      out.distances[r] = row[least];
      out.centroids[r] = static_cast<std::uint32_t>(begin + least);
    }
  }
}

}  // namespace vdb
