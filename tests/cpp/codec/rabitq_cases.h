// Rows with their RaBitQ codes, and the distances the codes estimate.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "codec/rabitq.h"
#include "data.h"

namespace vdb::testing {

inline constexpr Metric kCodeMetrics[] = {Metric::kL2, Metric::kInnerProduct};

inline RabitqParams params_of(Metric metric, std::size_t bits) {
  RabitqParams params;
  params.metric = metric;
  params.bits = bits;
  params.centroids = 1;
  params.seed = 11;
  return params;
}

inline double true_distance(Metric metric, const float* row, const float* query, std::size_t dim) {
  double distance = 0;
  for (std::size_t d = 0; d < dim; ++d) {
    const double a = double{row[d]};
    const double b = double{query[d]};
    distance += metric == Metric::kL2 ? (a - b) * (a - b) : -a * b;
  }
  return distance;
}

// Trained on all of its rows.
struct Coded {
  Coded(Vectors its_rows, const RabitqParams& params)
      : Coded(its_rows, params.metric,
              Rabitq::train({its_rows.values.data(), its_rows.n, its_rows.dim}, params, nullptr)) {}

  Coded(Vectors its_rows, Metric its_metric, Rabitq its_codec)
      : rows(std::move(its_rows)),
        metric(its_metric),
        codec(std::move(its_codec)),
        records(rows.n * codec.record_bytes()),
        mean(rows.dim) {
    constexpr std::size_t kHeaderBytes = 32;
    std::memcpy(mean.data(), codec.serialize().data() + kHeaderBytes, mean.size() * sizeof(float));
    for (std::size_t i = 0; i < rows.n; ++i) codec.encode(rows.row(i), records.data() + i * codec.record_bytes());
  }

  const std::uint8_t* record(std::size_t i) const { return records.data() + i * codec.record_bytes(); }
  Vectors rows;
  Metric metric;
  Rabitq codec;
  std::vector<std::uint8_t> records;
  std::vector<float> mean;
};

}  // namespace vdb::testing
