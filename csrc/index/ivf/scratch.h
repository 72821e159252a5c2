// The memory of one running search of lists, reused by the next that sees the same state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <tuple>
#include <variant>
#include <vector>

#include "base/recycler.h"
#include "core/rerank.h"
#include "core/top_k.h"
#include "index/ivf/directory.h"
#include "index/ivf/ivf.h"

namespace vdb {

// What bounds leave in doubt, or the most promising of a number.
class ListCandidates {
 public:
  // `pool` of them, or with 0 all that may be among `wanted`.
  void reset(std::size_t wanted, std::size_t pool) {
    is_bounded_ = pool == 0;
    if (is_bounded_) {
      bounded_.reset(wanted);
    } else {
      best_.reset(pool);
    }
  }
  bool bounded() const noexcept { return is_bounded_; }
  float threshold() const noexcept { return is_bounded_ ? bounded_.threshold() : best_.threshold(); }
  void offer(Slot slot, float lower, float upper) {
    if (is_bounded_) {
      bounded_.offer(slot, lower, upper);
    } else {
      best_.push({lower, slot});
    }
  }
  // With bounds in `unit` of those that were offered.
  std::span<const Neighbor> sorted(float unit) { return is_bounded_ ? bounded_.sorted(unit) : best_.sorted(); }

 private:
  bool is_bounded_ = true;
  BoundedCandidates bounded_;
  TopK best_;
};

// A block with rows that pass a filter, and which.
struct PassingBlock {
  std::uint32_t block;
  std::uint32_t rows;
};

// Those of a list.
struct PassingBlocks {
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t list = kNone;
  std::size_t rows = 0;
  std::vector<PassingBlock> blocks;
  std::vector<Neighbor> few;  // rows of the other blocks, infinitely near: to be measured
};

template <class Codec>
struct ListScratch {
  explicit ListScratch(const IvfState& state)
      : query(std::get<Codec>(state.model->codec)),
        ranking(state.directory->codec()),
        finder(*state.directory),
        prepared(state.directory->dim()),
        done(state.directory->size()) {}

  typename Codec::Query query;
  ResidualSigns::Query ranking;
  Directory::Finder finder;
  ListCandidates candidates;
  TopK nearest;
  std::vector<float> prepared;     // the query in code space
  std::vector<std::uint8_t> done;  // by list
  PassingBlocks passing;
  PassingBlocks found;        // of the list that comes next
  std::vector<Neighbor> few;  // of all lists that were read
  std::vector<Slot> slots;
};

// Those of a state, which must outlive their use.
class ListScratches {
 public:
  template <class Codec>
  using Pool = Recycler<ListScratch<Codec>>;

  template <class Codec>
  typename Pool<Codec>::Handle take(const IvfState& state) {
    return std::get<Pool<Codec>>(pools_).take(state);
  }

 private:
  std::tuple<Pool<ResidualSigns>, Pool<ResidualProduct>> pools_;
};

}  // namespace vdb
