// The centroids of an inverted file and the search for those nearest to a query: signs of all of them are scanned in
// blocks, and what those leave among the nearest is measured. They are kept as bfloat16 relative to the mean of the
// rows: where a centroid lies matters little, as long as everybody takes it to lie at the same place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/residual_signs.h"
#include "core/metric.h"
#include "index/ivf/list.h"

namespace vdb {

// A list and where its centroid is.
struct RankedList {
  float order;
  std::uint32_t list;
  ListTerms terms;

  friend bool operator<(const RankedList& a, const RankedList& b) noexcept {
    return a.order < b.order || (a.order == b.order && a.list < b.list);
  }
};

class Directory {
 public:
  // `offsets` (n, dim) are those of offsets_of() and finite, `mean` (dim,) and `seed` those of the codec of the rows,
  // so that its bound queries serve here. `even` says of ip that rows have one length, and queries the same.
  Directory(Metric metric, std::vector<std::uint16_t> offsets, std::span<const float> mean, std::uint64_t seed,
            bool even);

  // Of centroids (n, dim) in code space to the mean (dim,), as finite bfloat16.
  static std::vector<std::uint16_t> offsets_of(std::span<const float> centroids, std::span<const float> mean);

  std::size_t size() const noexcept { return norms_.size(); }
  std::size_t dim() const noexcept { return codec_.dim(); }
  const std::vector<std::uint16_t>& offsets() const noexcept { return offsets_; }
  // (n, dim), where rows are encoded relative to.
  std::vector<float> centroids() const;
  const ResidualSigns& codec() const noexcept { return codec_; }
  std::size_t memory_bytes() const noexcept;

  class Finder;

 private:
  const std::uint16_t* offset(std::size_t i) const noexcept { return offsets_.data() + i * dim(); }

  Metric metric_;
  bool ranks_by_l2_;
  std::vector<std::uint16_t> offsets_;
  std::vector<float> norms_;     // squared, of the offsets
  std::vector<float> products_;  // of the offsets with the mean
  ResidualSigns codec_;
  ListShape shape_;
  List signs_;
};

// Keeps the memory of one search. The directory must outlive it.
class Directory::Finder {
 public:
  explicit Finder(const Directory& directory);

  // At least min(wanted, size()) lists, nearest first; some of the last may be farther than others that are not among
  // them. `query` is in code space, `signs` bound to it. Allocates where more are wanted than before.
  std::span<const RankedList> nearest(const float* query, ResidualSigns::Query& signs, std::size_t wanted);

 private:
  // Makes lists_ those of the `wanted` smallest bounds, and some more.
  void select(std::size_t wanted);
  void measure(const float* query);

  const Directory& directory_;
  std::vector<float> bounds_;
  std::vector<std::uint8_t> steps_;
  std::vector<std::uint32_t> lists_;
  std::vector<float> centred_;          // the query relative to the mean
  std::vector<std::uint16_t> rounded_;  // the same
  std::vector<RankedList> ranked_;
};

}  // namespace vdb
