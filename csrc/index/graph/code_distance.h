// Distances of a walk that reads codes: estimates, good enough to find the way. What they find is measured on the
// vectors before anybody sees it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <variant>

#include "base/prefetch.h"
#include "codec/code_store.h"
#include "core/distance.h"
#include "core/slot.h"

namespace vdb {

// A query bound to codes, as one search loop's distance; see BoundQuery of core/distance.h.
template <class Query>
class CodeDistance {
 public:
  static constexpr bool kShortRows = true;

  // Both must outlive it.
  CodeDistance(const CodeStore::Snapshot& codes, const Query& query) noexcept
      : codes_(codes), query_(query), lines_(lines_of(codes.stride)) {}

  float operator()(Slot slot) const noexcept {
    Estimate one;
    estimate({&slot, 1}, &one);
    return ordered(one.distance);
  }

  void measure(std::span<const Slot> slots, float* out) const noexcept {
    query_.distances(all(), slots, out);
    std::transform(out, out + slots.size(), out, ordered);
  }

  void estimate(std::span<const Slot> slots, Estimate* out) const noexcept { query_.estimates(all(), slots, out); }

  void prefetch_row(Slot slot) const noexcept {
    prefetch_lines(codes_.record(slot), lines_);
    if (codes_.plane != 0) prefetch_lines(codes_.record(slot) + codes_.plane, lines_);
  }

 private:
  CodeRows all() const noexcept { return codes_.rows(0, codes_.covered); }

  const CodeStore::Snapshot& codes_;
  const Query& query_;
  std::size_t lines_;
};

// The memory of a query bound to codes, kept from one search to the next: binding allocates nothing while the codec
// stays the same.
class CodeQuery {
 public:
  // Calls visitor with the CodeDistance of `query`, a vector in code space. `codes` must have a codec, and one that a
  // graph can be walked by.
  template <class Visitor>
  decltype(auto) with_distance(const CodeStore::Snapshot& codes, const float* query, Visitor&& visitor) {
    const auto* const rabitq = std::get_if<Rabitq>(codes.codec.get());
    if (codec_ != codes.codec) {
      if (rabitq != nullptr) {
        query_.emplace<Rabitq::Query>(*rabitq);
      } else {
        query_.emplace<ScalarQuantizer::Query>(std::get<ScalarQuantizer>(*codes.codec));
      }
      codec_ = codes.codec;
    }
    if (rabitq != nullptr) return visit(std::get<Rabitq::Query>(query_), codes, query, visitor);
    return visit(std::get<ScalarQuantizer::Query>(query_), codes, query, visitor);
  }

 private:
  template <class Query, class Visitor>
  static decltype(auto) visit(Query& bound, const CodeStore::Snapshot& codes, const float* query, Visitor& visitor) {
    bound.bind(query);
    return visitor(CodeDistance<Query>(codes, bound));
  }

  std::shared_ptr<const Codec> codec_;  // what query_ is of; a codec must outlive its queries
  std::variant<std::monostate, Rabitq::Query, ScalarQuantizer::Query> query_;
};

}  // namespace vdb
