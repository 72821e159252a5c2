// Rows in the order of a column: which ranks a range of keys has, and which row stands at a rank. An immutable value:
// searches go on with the one they took while the writer makes the next, which shares all but a short tail with it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/slot.h"

namespace vdb {

// A row and its key; rows of equal keys stand in the order of their slots.
struct Ranked {
  std::int64_t key;
  Slot slot;

  friend auto operator<=>(const Ranked&, const Ranked&) = default;
};

// Half-open.
struct Ranks {
  std::size_t begin;
  std::size_t end;

  std::size_t size() const noexcept { return end - begin; }
};

class Order {
 public:
  Order() : Order(std::vector<Ranked>()) {}
  // `rows` ascending, each once.
  explicit Order(std::vector<Ranked> rows) : main_(std::make_shared<const std::vector<Ranked>>(std::move(rows))) {}

  // Rows that moved to another key may be counted twice, until the tail is merged.
  std::size_t size() const noexcept { return main_->size() + tail_.size(); }
  std::size_t memory_bytes() const noexcept;

  // The rank of a row, or the one it would have.
  std::size_t rank_of(const Ranked& row) const noexcept;
  // The ranks of the rows with low <= key <= high.
  Ranks ranks_of(std::int64_t low, std::int64_t high) const noexcept;
  Ranked at(std::size_t rank) const noexcept;

  // Calls visit(row) for each of these ranks, ascending, while it returns true.
  template <class Visit>
  void for_each(const Ranks& ranks, Visit&& visit) const {
    std::size_t from_tail = tail_before(ranks.begin);
    std::size_t from_main = ranks.begin - from_tail;
    for (std::size_t rank = ranks.begin; rank < ranks.end; ++rank) {
      const bool late = from_tail < tail_.size() && tail_[from_tail].main_before <= from_main;
      if (!visit(late ? tail_[from_tail++].row : (*main_)[from_main++])) return;
    }
  }

  // This order with `rows`, ascending. `keys` holds the key of every slot as it is now: what stands at another key has
  // moved, and goes when the tail is merged.
  Order with(std::span<const Ranked> rows, const std::int64_t* keys) const;
  // One sequence without what has moved.
  Order merged(std::span<const Ranked> rows, const std::int64_t* keys) const;

 private:
  // A row that came after main_ was made, and how many rows of main_ stand before it: so a rank is found in the tail
  // alone.
  struct Late {
    Ranked row;
    std::size_t main_before;
  };
  // Rows in the tail before it is merged: a commit of one row copies this many, and one in so many commits copies all.
  static constexpr std::size_t kMaxTail = 4096;
  // Where commits have many rows, those of so many commits, unless the rest is hardly more.
  static constexpr std::size_t kTailOfCommits = 16;

  std::size_t main_before(const Ranked& row) const noexcept;
  // Rows of the tail among the first `rank`.
  std::size_t tail_before(std::size_t rank) const noexcept;

  std::shared_ptr<const std::vector<Ranked>> main_;
  std::vector<Late> tail_;
};

}  // namespace vdb
