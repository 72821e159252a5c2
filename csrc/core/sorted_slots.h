// Slots in the order of their keys: a sorted column, or the inverted lists of its values one after the other. Any span
// of keys is a row set, made of few slots: bitmaps of prefixes of the order stand for the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/row_set.h"

namespace vdb {

class SortedSlots {
 public:
  using Key = std::int64_t;

  // slots[i] has keys[i]; keys ascend, equal ones are fine. A slot may come more than once, as in lists of a value for
  // each item of a row. InvalidArgument where lengths differ, keys descend or a slot is not below `size`.
  SortedSlots(std::vector<Key> keys, std::vector<Slot> slots, std::size_t size);

  std::size_t length() const noexcept { return keys_.size(); }
  std::span<const Key> keys() const noexcept { return keys_; }
  std::span<const Slot> slots() const noexcept { return slots_; }
  std::size_t memory_bytes() const noexcept;

  // The slots with a key in [low, high], over `size` slots. InvalidArgument where `size` is below that of the
  // constructor.
  RowSet between(Key low, Key high, std::size_t size) const;
  // The slots with one of `keys`, which may come in any order and more than once.
  RowSet any_of(std::span<const Key> keys, std::size_t size) const;
  // How many places of the order have a key in [low, high].
  std::size_t count_between(Key low, Key high) const noexcept;

 private:
  using Word = RowSet::Word;

  std::pair<std::size_t, std::size_t> places(Key low, Key high) const noexcept;
  std::vector<Word> no_words(std::size_t size) const;
  void add_prefixes();
  std::size_t nearest_prefix(std::size_t place) const noexcept;
  void mark(std::vector<Word>& words, std::size_t begin, std::size_t end) const noexcept;
  void clear(std::vector<Word>& words, std::size_t begin, std::size_t end) const noexcept;

  std::vector<Key> keys_;
  std::vector<Slot> slots_;
  std::size_t size_;
  std::size_t step_ = 0;                     // places from a prefix to the next; 0: there are none
  std::vector<std::vector<Word>> prefixes_;  // the i-th has the slots of the first i * step_ places
};

}  // namespace vdb
