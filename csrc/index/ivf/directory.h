// The centroids of an inverted file and the search for those nearest to a query: signs of all of them are scanned in
// blocks, and what those leave among the nearest is measured.
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
  // `centroids` (n, dim) are of vectors in code space; `mean` (dim,) and `seed` those of the codec of the rows, so that
  // its bound queries serve here.
  Directory(Metric metric, std::vector<float> centroids, std::span<const float> mean, std::uint64_t seed);

  std::size_t size() const noexcept { return norms_.size(); }
  std::size_t dim() const noexcept { return codec_.dim(); }
  const float* centroid(std::size_t i) const noexcept { return centroids_.data() + i * dim(); }
  const std::vector<float>& centroids() const noexcept { return centroids_; }
  const ResidualSigns& codec() const noexcept { return codec_; }
  std::size_t memory_bytes() const noexcept;

  class Finder;

 private:
  Metric metric_;
  std::vector<float> centroids_;
  std::vector<float> norms_;  // squared
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
  void measure(const float* query, std::span<const std::uint32_t> lists);

  const Directory& directory_;
  std::vector<float> bounds_;
  std::vector<std::uint8_t> steps_;
  std::vector<std::uint32_t> lists_;
  std::vector<RankedList> ranked_;
};

}  // namespace vdb
