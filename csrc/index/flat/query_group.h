// The queries of a scan that share the reading of a record, bound to its codec.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "codec/code_store.h"
#include "codec/estimate.h"
#include "core/vectors.h"
#include "simd/kernels.h"

namespace vdb {

// Records of a block: what they give fits the first-level cache.
inline constexpr std::size_t kBlockRecords = 64;

// By the tile form of the codec where it has one.
template <class Codec>
class QueryGroup {
 public:
  // `queries` are bound as vectors of the metric of the codes.
  QueryGroup(const Codec& codec, const VectorView& queries) {
    std::vector<float> prepared(queries.n * queries.dim);
    const bool cosine = queries.metric == Metric::kCosine;
    for (std::size_t q = 0; q < queries.n; ++q) {
      const Slot query = static_cast<Slot>(q);
      const float inverse = cosine ? inverse_norm(queries.row(query), queries.dim, queries.dtype) : 1.0F;
      to_code_space(queries, query, inverse, prepared.data() + q * queries.dim);
    }
    if constexpr (requires { codec.bind_block(prepared.data(), queries.n); }) {
      queries_ = codec.bind_block(prepared.data(), queries.n);
    } else {
      for (std::size_t q = 0; q < queries.n; ++q) queries_.push_back(codec.bind(prepared.data() + q * queries.dim));
    }
    if constexpr (kHasBatch) {
      static_assert(kBlockRecords <= Codec::Batch::kRows);
      if (queries.n > 1) batch_.emplace(queries_);
    }
    estimates_.resize(queries.n * kBlockRecords);
  }

  // (queries, records.n), valid until the next call.
  const Estimate* block(const CodeRows& records) {
    if constexpr (kHasBatch) {
      if (batch_) {
        batch_->estimate(records, estimates_.data());
        return estimates_.data();
      }
    }
    for (std::size_t q = 0; q < queries_.size(); ++q) {
      queries_[q].estimate_block(records, estimates_.data() + q * records.n);
    }
    return estimates_.data();
  }

  const typename Codec::Query& operator[](std::size_t q) const { return queries_[q]; }
  std::size_t size() const { return queries_.size(); }

 private:
  static constexpr bool kHasBatch = requires { typename Codec::Batch; };
  struct None {};
  template <class C>
  static auto batch_of(int) -> std::optional<typename C::Batch>;
  template <class C>
  static auto batch_of(...) -> None;

  std::vector<typename Codec::Query> queries_;
  decltype(batch_of<Codec>(0)) batch_;
  std::vector<Estimate> estimates_;
};

}  // namespace vdb
