#include "core/kmeans.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>
#include <span>

#include "base/check.h"
#include "base/error.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "core/nearest_centroid.h"
#include "core/sample.h"

namespace vdb {
namespace {

// Seeding looks at this many rows a centroid: enough to meet every large cluster, a fraction of an iteration's cost.
constexpr std::size_t kSeedingRows = 8;
constexpr std::size_t kMinSeedingRows = 1024;
// Of c seeds, c / 8 more are drawn at once: a pass over the sample for each of 65,536 seeds would take hours, and the
// few that fall beside each other are what Lloyd's iteration mends.
constexpr std::size_t kSeedsPerDraw = 8;
constexpr std::size_t kSeedingGrain = 1024;  // fixed, because partial sums are added chunk by chunk
constexpr std::size_t kGatherRows = 32;
constexpr std::size_t kMeanGrain = 16;

void check(const MatrixView& rows, const KMeansParams& params) {
  VDB_CHECK(rows.dim > 0, "rows have no dimensions; expected at least 1");
  VDB_CHECK(params.k > 0 && params.k <= rows.n,
            "k is " + std::to_string(params.k) + "; expected from 1 to the " + std::to_string(rows.n) + " rows");
  const bool finite =
      std::all_of(rows.data, rows.data + rows.n * rows.dim, [](float value) { return std::isfinite(value); });
  VDB_CHECK(finite, "a value of the rows is infinite or NaN; expected finite values");
}

// k-means++ over a sample: next seeds are drawn in proportion to their squared distance from the seeds before.
class Seeding {
 public:
  Seeding(const MatrixView& rows, const KMeansParams& params, CancelToken* cancel)
      : rows_(rows),
        params_(params),
        cancel_(cancel),
        sample_(sample_rows(rows.n, std::max(kSeedingRows * params.k, kMinSeedingRows), params.seed)),
        distances_(sample_.size(), std::numeric_limits<float>::max()),
        sums_((sample_.size() + kSeedingGrain - 1) / kSeedingGrain) {}

  std::vector<float> seeds() {
    std::vector<float> centroids;
    centroids.reserve(params_.k * rows_.dim);
    std::vector<std::size_t> drawn{splitmix64(params_.seed) % sample_.size()};
    std::size_t count = 0;
    for (;;) {
      for (const std::size_t i : drawn) {
        centroids.insert(centroids.end(), rows_.row(sample_[i]), rows_.row(sample_[i]) + rows_.dim);
      }
      const std::size_t before = count;
      count += drawn.size();
      if (count == params_.k) return centroids;
      take({centroids.data() + before * rows_.dim, drawn.size(), rows_.dim});
      drawn = draw(std::clamp<std::size_t>(count / kSeedsPerDraw, 1, params_.k - count), uniform(params_.seed, count));
      if (drawn.empty()) drawn.assign(params_.k - count, 0);  // every row is a seed: any repeats one
    }
  }

 private:
  // Lowers every distance to that from the new seeds, and sums them up.
  void take(const MatrixView& seeds) {
    const NearestCentroid nearest(seeds);
    parallel_for({sample_.size(), kSeedingGrain, params_.threads}, [&](const Chunk& chunk) {
      std::vector<float> rows(kGatherRows * rows_.dim);
      std::uint32_t seed[kGatherRows];
      float distances[kGatherRows];
      double sum = 0;
      for (std::size_t begin = chunk.begin; begin < chunk.end; begin += kGatherRows) {
        const std::size_t n = std::min(kGatherRows, chunk.end - begin);
        for (std::size_t i = 0; i < n; ++i) {
          std::copy_n(rows_.row(sample_[begin + i]), rows_.dim, rows.data() + i * rows_.dim);
        }
        nearest.find({rows.data(), n, rows_.dim}, {1, cancel_}, {seed, distances});
        for (std::size_t i = 0; i < n; ++i) {
          distances_[begin + i] = std::min(distances_[begin + i], distances[i]);
          sum += static_cast<double>(distances_[begin + i]);
        }
      }
      sums_[chunk.begin / kSeedingGrain] = sum;
    });
  }

  // At most `count` sampled rows, at least one, at even steps of the sum of distances from `share` of a step on. None
  // where all distances are 0.
  std::vector<std::size_t> draw(std::size_t count, double share) const {
    double total = 0;
    for (const double sum : sums_) total += sum;
    const double step = total / static_cast<double>(count);
    std::vector<std::size_t> drawn;
    std::size_t farther = sample_.size();  // the last row that is not a seed, for what rounding leaves over
    double passed = 0;
    double target = share * step;
    for (std::size_t i = 0; i < sample_.size() && drawn.size() < count; ++i) {
      if (distances_[i] == 0) continue;
      farther = i;
      passed += static_cast<double>(distances_[i]);
      if (passed < target) continue;
      drawn.push_back(i);
      while (target <= passed) target += step;
    }
    if (drawn.empty() && farther < sample_.size()) drawn.push_back(farther);
    return drawn;
  }

  const MatrixView& rows_;
  const KMeansParams& params_;
  CancelToken* cancel_;
  std::vector<std::size_t> sample_;
  std::vector<float> distances_;  // of each sampled row to its nearest seed
  std::vector<double> sums_;      // of distances_, chunk by chunk
};

// One run of Lloyd's iteration.
class Lloyd {
 public:
  Lloyd(const MatrixView& rows, const KMeansParams& params, const KMeansControl& control, std::vector<float> centroids)
      : rows_(rows),
        params_(params),
        control_(control),
        centroids_(std::move(centroids)),
        labels_(rows.n, std::numeric_limits<std::uint32_t>::max()),
        next_labels_(rows.n),
        distances_(rows.n) {}

  KMeans run() {
    KMeans result;
    for (std::size_t i = 0; i < params_.iterations; ++i) {
      const NearestCentroid nearest({centroids_.data(), params_.k, rows_.dim});
      nearest.find(rows_, {params_.threads, control_.cancel}, {next_labels_.data(), distances_.data()});
      result.inertia = 0;
      for (const float distance : distances_) result.inertia += static_cast<double>(distance);
      result.iterations = i + 1;
      const bool settled = labels_ == next_labels_;
      labels_.swap(next_labels_);
      if (!settled) update();
      if (control_.progress) control_.progress(settled ? params_.iterations : i + 1, params_.iterations);
      if (settled) break;
    }
    result.centroids = std::move(centroids_);
    return result;
  }

 private:
  // Rows of cluster c, ascending after group().
  std::span<std::size_t> members(std::size_t c) { return {order_.data() + begin_[c], begin_[c + 1] - begin_[c]}; }

  void group() {
    begin_.assign(params_.k + 1, 0);
    for (const std::uint32_t label : labels_) ++begin_[label + 1];
    for (std::size_t c = 0; c < params_.k; ++c) begin_[c + 1] += begin_[c];
    order_.resize(rows_.n);
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    for (std::size_t i = 0; i < rows_.n; ++i) order_[next[labels_[i]]++] = i;
  }

  // Each mean is added up by one thread in the order of rows, whatever the number of threads.
  void update() {
    group();
    parallel_for({params_.k, kMeanGrain, params_.threads}, [&](const Chunk& chunk) {
      if (control_.cancel != nullptr && control_.cancel->poll()) throw Cancelled();
      std::vector<double> sum(rows_.dim);
      for (std::size_t c = chunk.begin; c < chunk.end; ++c) {
        const auto rows = members(c);
        if (rows.empty()) continue;
        std::fill(sum.begin(), sum.end(), 0.0);
        for (const std::size_t i : rows) {
          const float* const row = rows_.row(i);
          for (std::size_t d = 0; d < rows_.dim; ++d) sum[d] += static_cast<double>(row[d]);
        }
        float* const centroid = centroids_.data() + c * rows_.dim;
        const double n = static_cast<double>(rows.size());
        for (std::size_t d = 0; d < rows_.dim; ++d) centroid[d] = static_cast<float>(sum[d] / n);
      }
    });
    reseed();
  }

  struct Donor {
    double inertia;
    std::size_t cluster;
    std::size_t given;

    // The greatest first; of equals the first cluster.
    friend bool operator<(const Donor& a, const Donor& b) noexcept {
      return a.inertia < b.inertia || (a.inertia == b.inertia && a.cluster > b.cluster);
    }
  };

  std::priority_queue<Donor> donors() {
    std::priority_queue<Donor> donors;
    for (std::size_t c = 0; c < params_.k; ++c) {
      double inertia = 0;
      for (const std::size_t i : members(c)) inertia += static_cast<double>(distances_[i]);
      if (inertia > 0) donors.push({inertia, c, 0});
    }
    return donors;
  }

  void sort_farthest_first(std::span<std::size_t> rows) const {
    std::sort(rows.begin(), rows.end(), [this](std::size_t a, std::size_t b) {
      return distances_[a] > distances_[b] || (distances_[a] == distances_[b] && a < b);
    });
  }

  void reseed() {
    std::vector<std::size_t> empty;
    for (std::size_t c = 0; c < params_.k; ++c) {
      if (members(c).empty()) empty.push_back(c);
    }
    if (empty.empty()) return;
    auto queue = donors();
    for (const std::size_t c : empty) {
      if (queue.empty()) return;  // every row lies on a centroid
      Donor donor = queue.top();
      queue.pop();
      const auto rows = members(donor.cluster);
      if (donor.given == 0) sort_farthest_first(rows);
      std::copy_n(rows_.row(rows[donor.given]), rows_.dim, centroids_.data() + c * rows_.dim);
      ++donor.given;
      donor.inertia /= 2;  // as if the rows were shared: the next empty cluster may find a worse place
      if (donor.given < rows.size() && distances_[rows[donor.given]] > 0) queue.push(donor);
    }
  }

  const MatrixView& rows_;
  const KMeansParams& params_;
  const KMeansControl& control_;
  std::vector<float> centroids_;
  std::vector<std::uint32_t> labels_;
  std::vector<std::uint32_t> next_labels_;
  std::vector<float> distances_;
  std::vector<std::size_t> begin_;  // (k + 1) of each cluster in order_
  std::vector<std::size_t> order_;  // rows by cluster
};

}  // namespace

KMeans kmeans(const MatrixView& rows, const KMeansParams& params, const KMeansControl& control) {
  check(rows, params);
  std::vector<float> centroids = params.initial == nullptr
                                     ? Seeding(rows, params, control.cancel).seeds()
                                     : std::vector<float>(params.initial, params.initial + params.k * rows.dim);
  return Lloyd(rows, params, control, std::move(centroids)).run();
}

}  // namespace vdb
