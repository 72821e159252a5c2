#include "index/graph/packed_query.h"

#include <cmath>

#include "core/vectors.h"

namespace vdb {

void PackedQuery::bind(const PackedCodes& codes, const void* query, Dtype dtype) {
  layout_ = codes.layout();
  const std::size_t padded = layout_.padded_dim;
  if (rotated_.size() != padded) rotated_.assign(padded, 0.0F);
  estimate_ = kernels().packed_scan.estimate;
  const PackedParams& params = codes.params();
  VectorView view{static_cast<const std::byte*>(query), 1, params.dim, params.metric, nullptr, dtype};
  read_row(view, 0, rotated_.data());
  if (params.metric == Metric::kCosine) {
    const float inverse = inverse_norm(query, params.dim, dtype);
    for (std::size_t d = 0; d < params.dim; ++d) rotated_[d] *= std::isfinite(inverse) ? inverse : 0.0F;
  }
  codes.rotation().apply(rotated_.data(), rotated_.data());
  for (std::size_t i = 0; i < padded; ++i) rotated_[i] -= codes.centre()[i];
  table_.bind(rotated_.data(), padded);
}

}  // namespace vdb
