#include "core/matrix_product.h"

#include <algorithm>

#include "base/check.h"
#include "base/thread_pool.h"
#include "simd/kernels.h"

namespace vdb {
namespace {

constexpr std::size_t kGroupRows = 32;
constexpr std::size_t kTileBytes = std::size_t{1} << 18;  // rows of b that stay in the second-level cache
constexpr std::size_t kMinTile = 8;
constexpr std::size_t kBlock = 32;  // rows and columns of a block that is turned within the first-level cache

}  // namespace

void multiply_by_transpose(const MatrixView& a, const MatrixView& b, std::size_t threads, float* out) {
  VDB_ASSERT(a.dim == b.dim);
  const DistanceKernels::Tile product = kernels().distance_f32.inner_product.tile;
  const std::size_t width = std::max(kTileBytes / (b.dim * sizeof(float)), kMinTile);
  parallel_for({a.n, kGroupRows, threads}, [&](const Chunk& chunk) {
    const std::size_t rows = chunk.end - chunk.begin;
    std::vector<float> tile(rows * std::min(width, b.n));
    for (std::size_t begin = 0; begin < b.n; begin += width) {
      const std::size_t n = std::min(width, b.n - begin);
      product({a.row(chunk.begin), rows}, {b.row(begin), n}, a.dim, tile.data());
      for (std::size_t r = 0; r < rows; ++r) {
        std::copy_n(tile.data() + r * n, n, out + (chunk.begin + r) * b.n + begin);
      }
    }
  });
}

std::vector<float> transposed(const MatrixView& a) {
  std::vector<float> out(a.n * a.dim);
  for (std::size_t row = 0; row < a.n; row += kBlock) {
    for (std::size_t column = 0; column < a.dim; column += kBlock) {
      for (std::size_t i = row; i < std::min(row + kBlock, a.n); ++i) {
        for (std::size_t d = column; d < std::min(column + kBlock, a.dim); ++d) out[d * a.n + i] = a.row(i)[d];
      }
    }
  }
  return out;
}

}  // namespace vdb
