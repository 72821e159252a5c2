// Which nodes one search has seen: a bit per node, so that the bits of 100,000 stay in the first-level cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/slot.h"

namespace vdb {

class Visited {
 public:
  // Forgets everything; nodes up to `size`, itself included, may be marked.
  void reset(std::size_t size) {
    forget();
    size_ = size;
    const std::size_t words = size / kWordBits + 1;
    if (words_.size() >= words) return;
    words_.resize(words, 0);
    remembered_.resize(words / kWordsPerRemembered);
  }

  std::size_t size() const noexcept { return size_; }

  bool contains(Slot slot) const noexcept { return (words_[slot / kWordBits] >> (slot % kWordBits) & 1U) != 0; }

  // Marks the node; false where it was marked before.
  bool insert(Slot slot) noexcept {
    const bool fresh = mark(slot);
    if (fresh) remember({&slot, 1});
    return fresh;
  }

  // insert() in two steps, for loops without a branch: what mark() found to be new must be remembered before the reset.
  bool mark(Slot slot) noexcept {
    Word& word = words_[slot / kWordBits];
    const Word before = word;
    word = before | Word{1} << (slot % kWordBits);
    return (~before >> (slot % kWordBits) & 1U) != 0;
  }
  void remember(std::span<const Slot> fresh) noexcept {
    if (fresh.size() > remembered_.size() - count_) {
      count_ = remembered_.size();
      complete_ = false;
      return;
    }
    std::copy(fresh.begin(), fresh.end(), remembered_.begin() + static_cast<std::ptrdiff_t>(count_));
    count_ += fresh.size();
  }

 private:
  using Word = std::uint64_t;
  static constexpr std::size_t kWordBits = 64;
  // A search that saw more than a node in so many words is forgotten by clearing them all, which is then cheaper: two
  // cache lines of words are cleared in the time of one word anywhere.
  static constexpr std::size_t kWordsPerRemembered = 16;

  void forget() noexcept {
    if (complete_) {
      for (std::size_t i = 0; i < count_; ++i) words_[remembered_[i] / kWordBits] = 0;
    } else {
      std::fill_n(words_.begin(), size_ / kWordBits + 1, 0);
    }
    count_ = 0;
    complete_ = true;
  }

  std::vector<Word> words_;
  std::vector<Slot> remembered_;  // the first count_ are marked nodes: all of them where complete_
  std::size_t count_ = 0;
  bool complete_ = true;
  std::size_t size_ = 0;
};

}  // namespace vdb
