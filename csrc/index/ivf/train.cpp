#include "index/ivf/train.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/thread_pool.h"
#include "codec/training_rows.h"
#include "core/kmeans.h"
#include "core/nearest_centroid.h"
#include "core/sample.h"

namespace vdb {
namespace {

constexpr std::size_t kMaxLists = 65'535;
// Lists for each root of the rows. At 100,000 rows of 384 dimensions 632 lists read 18 % fewer codes than 320 for the
// same recall, and take some 6 bytes a row more, for centroids and blocks that are not full.
constexpr double kListsPerRoot = 1.6;
constexpr std::size_t kLeastRows = ListShape::kRows;  // of a list, on average
// Rows a centroid is found from, and steps of Lloyd's iteration. From 48 rows lists differ in length a third more,
// and at a million rows a tenth more is read for a recall of .99.
constexpr std::size_t kRowsPerList = 128;
constexpr std::size_t kIterations = 8;
constexpr std::size_t kSampleBytes = std::size_t{384} << 20;
// Rows whose lengths deviate by no more than this share of the mean have one length.
constexpr double kSameLength = 0.01;
// From here on centroids are found in two levels: a step of one takes lists * sample products.
constexpr std::size_t kFlatLists = 16'384;
// Rows that codebooks and rotations are found from.
constexpr std::size_t kCodebookRows = 8192;
constexpr std::size_t kCodebookRowsOf8 = 32'768;
constexpr std::size_t kGrain = 64;

struct Clustering {
  std::size_t k;
  std::uint64_t seed;
  std::size_t threads;
  CancelToken* cancel;
};

std::vector<float> cluster(const MatrixView& rows, const Clustering& wanted) {
  KMeansParams params{wanted.k};
  params.iterations = kIterations;
  params.seed = wanted.seed;
  params.threads = wanted.threads;
  return kmeans(rows, params, {wanted.cancel, {}}).centroids;
}

// A root of the centroids first, then in the cells of each a share of them by its rows.
std::vector<float> cluster_in_two_levels(const MatrixView& rows, const Clustering& wanted) {
  Clustering coarse = wanted;
  coarse.k = static_cast<std::size_t>(std::sqrt(static_cast<double>(wanted.k)));
  const std::vector<float> roots = cluster(rows, coarse);
  std::vector<std::uint32_t> root_of(rows.n);
  std::vector<float> distances(rows.n);
  NearestCentroid({roots.data(), coarse.k, rows.dim})
      .find(rows, {wanted.threads, wanted.cancel}, {root_of.data(), distances.data()});
  std::vector<std::size_t> order(rows.n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return root_of[a] < root_of[b]; });
  std::vector<float> centroids;
  std::size_t given = 0;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    std::vector<float> members;
    for (; end < order.size() && root_of[order[end]] == root_of[order[begin]]; ++end) {
      members.insert(members.end(), rows.row(order[end]), rows.row(order[end]) + rows.dim);
    }
    Clustering fine = wanted;
    fine.k = std::clamp<std::size_t>(wanted.k * end / order.size() - given, 1, end - begin);
    given += fine.k;
    const std::vector<float> found = cluster({members.data(), end - begin, rows.dim}, fine);
    centroids.insert(centroids.end(), found.begin(), found.end());
  }
  return centroids;
}

std::vector<float> mean_of(const MatrixView& rows) {
  std::vector<double> sums(rows.dim);
  for (std::size_t i = 0; i < rows.n; ++i) {
    for (std::size_t d = 0; d < rows.dim; ++d) sums[d] += double{rows.row(i)[d]};
  }
  std::vector<float> mean(rows.dim);
  for (std::size_t d = 0; d < rows.dim; ++d) mean[d] = static_cast<float>(sums[d] / static_cast<double>(rows.n));
  return mean;
}

// The length of all rows; 0 where they have different ones.
float length_of(const MatrixView& rows) {
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 0; i < rows.n; ++i) {
    const double length = 1 / double{inverse_norm(rows.row(i), rows.dim, Dtype::kFloat32)};
    sum += length;
    squares += length * length;
  }
  const double mean = sum / static_cast<double>(rows.n);
  const double variance = squares / static_cast<double>(rows.n) - mean * mean;
  return variance <= kSameLength * kSameLength * mean * mean ? static_cast<float>(mean) : 0.0F;
}

// Residuals of some rows of the sample, by list.
struct Residuals {
  std::vector<float> values;
  std::vector<std::uint32_t> lists;
};

Residuals residuals_of(const MatrixView& rows, const MatrixView& centroids, std::size_t most, const Clustering& loop) {
  const std::vector<std::size_t> chosen = sample_rows(rows.n, most, loop.seed + 1);
  std::vector<float> some(chosen.size() * rows.dim);
  for (std::size_t i = 0; i < chosen.size(); ++i) std::copy_n(rows.row(chosen[i]), rows.dim, &some[i * rows.dim]);
  std::vector<std::uint32_t> nearest(chosen.size());
  std::vector<float> distances(chosen.size());
  NearestCentroid(centroids).find({some.data(), chosen.size(), rows.dim}, {loop.threads, loop.cancel},
                                  {nearest.data(), distances.data()});
  std::vector<std::size_t> order(chosen.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return nearest[a] < nearest[b]; });
  Residuals out{std::vector<float>(some.size()), std::vector<std::uint32_t>(chosen.size())};
  parallel_for({order.size(), kGrain, loop.threads}, [&](const Chunk& chunk) {
    for (std::size_t i = chunk.begin; i < chunk.end; ++i) {
      const float* const row = some.data() + order[i] * rows.dim;
      const float* const centroid = centroids.row(nearest[order[i]]);
      for (std::size_t d = 0; d < rows.dim; ++d) out.values[i * rows.dim + d] = row[d] - centroid[d];
      out.lists[i] = nearest[order[i]];
    }
  });
  return out;
}

std::size_t sub_quantisers(const IvfParams& params) noexcept {
  if (params.m != 0) return params.m;
  const std::size_t width = params.nbits == 4 ? 4 : 8;
  return std::max<std::size_t>(params.dim / width, 1);
}

ListCodec train_codec(const MatrixView& rows, const MatrixView& centroids, std::vector<float> mean,
                      const IvfParams& params, const IvfExtend& options) {
  const bool l2 = params.metric == Metric::kL2;
  if (params.codes == IvfCodes::kRabitq)
    return ResidualSigns({params.dim, l2, params.bits, params.seed}, std::move(mean));
  const std::size_t most =
      params.nbits == 4 ? std::max(kCodebookRows, params.opq ? 16 * params.dim : 0) : kCodebookRowsOf8;
  const Residuals sample = residuals_of(rows, centroids, most, {0, params.seed, options.threads, options.cancel});
  return ResidualProduct::train(
      {{sample.values.data(), sample.lists.size(), params.dim}, sample.lists}, std::move(mean),
      {l2, sub_quantisers(params), params.nbits, params.opq, params.seed, options.threads}, options.cancel);
}

}  // namespace

std::size_t lists_for(std::size_t rows, const IvfParams& params) noexcept {
  const auto by_root = static_cast<std::size_t>(kListsPerRoot * std::sqrt(static_cast<double>(rows)));
  const std::size_t by_rows = std::min(by_root, rows / kLeastRows);
  return std::min(std::clamp<std::size_t>(params.nlist == 0 ? by_rows : params.nlist, 1, kMaxLists), rows);
}

std::optional<IvfTraining> train_ivf(const VectorView& view, const std::vector<Slot>& slots, const IvfParams& params,
                                     const IvfExtend& options) {
  const std::size_t wanted = lists_for(slots.size(), params);
  const std::size_t fitting = kSampleBytes / (view.dim * sizeof(float));
  const std::size_t most = std::max({std::min(kRowsPerList * wanted, fitting), 2 * wanted, kCodebookRows / 2});
  const std::vector<float> sample = training_rows(view, slots, most, params.seed);
  const MatrixView rows{sample.data(), sample.size() / view.dim, view.dim};
  if (rows.n == 0) return std::nullopt;
  const Clustering clustering{std::min(wanted, rows.n), params.seed, options.threads, options.cancel};
  std::vector<float> centroids =
      clustering.k > kFlatLists ? cluster_in_two_levels(rows, clustering) : cluster(rows, clustering);
  const MatrixView found{centroids.data(), centroids.size() / view.dim, view.dim};
  const float length = params.metric == Metric::kInnerProduct ? length_of(rows) : 0.0F;
  auto model =
      std::make_shared<const IvfModel>(train_codec(rows, found, mean_of(rows), params, options), slots.size(), length);
  return IvfTraining{std::move(model), std::move(centroids)};
}

}  // namespace vdb
