// The scan of RaBitQ codes in stages: the signs of every allowed row, all bits of those rows that the signs leave among
// the nearest, the vectors of those that all bits do (core/rerank.h). Two in a hundred rows or fewer get to the second
// stage, so what counts is the first: one kernel for bounds of rows anywhere, and a comparison for sixteen at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/prefetch.h"
#include "codec/code_store.h"
#include "codec/rabitq.h"
#include "core/rerank.h"
#include "core/search_batch.h"
#include "index/flat/query_group.h"
#include "index/flat/tiles.h"

namespace vdb {

class SignScan {
 public:
  SignScan(const CodeStore::Snapshot& codes, QueryGroup<Rabitq>& group, const QueryBatch& batch, float offset)
      : all_(codes.rows(0, codes.covered)),
        group_(group),
        batch_(batch),
        offset_(offset),
        sign_lines_(lines_of(std::get<Rabitq>(*codes.codec).sign_record_bytes())),
        rest_(codes.plane != 0 ? codes.plane : sign_lines_ * kCacheLineBytes),
        rest_lines_(codes.plane != 0 ? lines_of(codes.stride) : lines_of(codes.stride) - sign_lines_),
        candidates_(group.size()) {
    for (auto& candidates : candidates_) candidates.reset(batch.k + 1);
  }

  void run(const Tile& range) {
    SlotBlocks blocks(batch_.rows, range);
    std::size_t wanted = first_block();
    for (auto slots = blocks.next(wanted); !slots.empty(); slots = blocks.next(wanted)) {
      sift(slots);
      wanted = std::min(2 * wanted, kMostSlots);
    }
  }

  // The same for a list of slots, in any order.
  void read(std::span<const Slot> slots) {
    std::size_t wanted = first_block();
    while (!slots.empty()) {
      const std::size_t n = std::min(wanted, slots.size());
      sift(slots.first(n));
      slots = slots.subspan(n);
      wanted = std::min(2 * wanted, kMostSlots);
    }
  }

  std::uint64_t estimated() const noexcept { return estimated_ + refined_; }
  std::uint64_t refined() const noexcept { return refined_; }
  BoundedCandidates& candidates(std::size_t q) { return candidates_[q]; }

 private:
  // Bounds are compared with a threshold that a block lowers for the next: blocks begin small, because of the first all
  // rows get to the second stage, and double, so that of each later one about as many do.
  static constexpr std::size_t kFirstSlots = 32;
  static constexpr std::size_t kMostSlots = 1024;
  // Rows asked for while as many are read.
  static constexpr std::size_t kTogether = 64;
  static constexpr std::size_t kCompared = 16;

  // Half-widths of intervals: of the first stage in standard deviations, of the second as shares of the codec's. Of
  // 30,000 real papers they find .997 of the 10 nearest by 2 bits, with 381 rows refined and 26 measured for a query,
  // and .995 by 1 bit with 394 and 71. With 1.2, .7 and .2 in their place .987 were found, 299 refined and 21 measured,
  // and .978 by 1 bit; an upper share of .5 refines a tenth more to find no more.
  static constexpr float kSignDeviations = 1.6F;
  static constexpr float kLowerShare = 1.0F;
  static constexpr float kUpperShare = 0.35F;

  std::size_t first_block() const { return std::clamp(2 * (batch_.k + 1), kFirstSlots, kMostSlots); }

  void sift(std::span<const Slot> slots) {
    if (batch_.cancel->poll()) throw Cancelled();
    bounds_.resize((slots.size() + kTogether) / kTogether * kTogether);
    for (std::size_t q = 0; q < group_.size(); ++q) {
      find_bounds(group_[q].signs(), slots);
      list_survivors(candidates_[q].threshold() - offset_, slots);
      refine(q);
    }
    estimated_ += slots.size() * group_.size();
  }

  // What each row is at least away, as far as its signs say.
  void find_bounds(const Rabitq::SignQuery& query, std::span<const Slot> slots) {
    ask_for(slots.first(std::min(kTogether, slots.size())));
    for (std::size_t i = 0; i < slots.size(); i += kTogether) {
      const auto rest = slots.subspan(i);
      const std::size_t n = std::min(kTogether, rest.size());
      ask_for(rest.subspan(n, std::min(kTogether, rest.size() - n)));
      query.lower_bounds(all_, rest.first(n), kSignDeviations, bounds_.data() + i);
    }
  }

  void ask_for(std::span<const Slot> slots) const noexcept {
    for (const Slot slot : slots) prefetch_lines(all_.data + all_.stride * slot, sign_lines_);
  }

  // A bound that overflowed says nothing.
  static bool is_beaten(float bound, float threshold) noexcept {
    return bound > threshold && bound <= std::numeric_limits<float>::max();
  }

  void list_survivors(float threshold, std::span<const Slot> slots) {
    survivors_.clear();
    std::size_t i = 0;
    for (; i + kCompared <= slots.size(); i += kCompared) {
      const float* const bounds = bounds_.data() + i;
      unsigned beaten = 0;
      for (std::size_t j = 0; j < kCompared; ++j) beaten += is_beaten(bounds[j], threshold) ? 1U : 0U;
      if (beaten < kCompared) list_some(threshold, slots.subspan(i, kCompared), bounds);
    }
    list_some(threshold, slots.subspan(i), bounds_.data() + i);
  }

  void list_some(float threshold, std::span<const Slot> slots, const float* bounds) {
    for (std::size_t j = 0; j < slots.size(); ++j) {
      if (is_beaten(bounds[j], threshold)) continue;
      survivors_.push_back(slots[j]);
      prefetch_lines(all_.data + all_.stride * slots[j] + rest_, rest_lines_);
    }
  }

  void refine(std::size_t q) {
    estimates_.resize(survivors_.size());
    group_[q].estimates(all_, survivors_, estimates_.data());
    BoundedCandidates& candidates = candidates_[q];
    for (std::size_t i = 0; i < survivors_.size(); ++i) {
      const float distance = offset_ + estimates_[i].distance;
      const float error = estimates_[i].error;
      candidates.offer(survivors_[i], distance - kLowerShare * error, distance + kUpperShare * error);
    }
    refined_ += survivors_.size();
  }

  const CodeRows all_;
  const QueryGroup<Rabitq>& group_;
  const QueryBatch& batch_;
  const float offset_;
  const std::size_t sign_lines_;
  const std::size_t rest_;  // from a record to the lines that the second stage reads besides
  const std::size_t rest_lines_;
  std::vector<BoundedCandidates> candidates_;
  std::vector<float> bounds_;
  std::vector<Slot> survivors_;
  std::vector<Estimate> estimates_;
  std::uint64_t estimated_ = 0;
  std::uint64_t refined_ = 0;
};

}  // namespace vdb
