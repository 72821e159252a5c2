// Which rows are allowed: a bitmap over the slots of a table with its exact count. Filters, live rows and rows that
// have a vector are all row sets; and it is the only thing that crosses from the metadata world into this one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/slot.h"
#include "simd/kernels.h"

namespace vdb {

class RowSet {
 public:
  using Word = std::uint64_t;
  static constexpr std::size_t kWordBits = 64;

  RowSet() = default;
  static RowSet all(std::size_t size) { return from_range(0, size, size); }
  static RowSet none(std::size_t size);
  static RowSet from_range(std::size_t begin, std::size_t end, std::size_t size);
  // Any order, duplicates allowed. InvalidArgument where a slot is not below size.
  static RowSet from_slots(std::span<const Slot> slots, std::size_t size);
  static RowSet from_bools(std::span<const std::uint8_t> allowed);
  // InvalidArgument where there are not just enough words, or a bit at or above `size` is set.
  static RowSet from_words(std::vector<Word> words, std::size_t size);

  std::size_t size() const noexcept { return size_; }
  std::size_t count() const noexcept { return count_; }
  bool contains(Slot slot) const noexcept { return (words_[slot / kWordBits] >> (slot % kWordBits) & 1U) != 0; }
  std::span<const Word> words() const noexcept { return words_; }

  // Both sides must have the same size.
  RowSet operator&(const RowSet& other) const;
  RowSet operator|(const RowSet& other) const;
  RowSet operator-(const RowSet& other) const;
  RowSet operator~() const;
  // The same slots over another size; slots that appear are allowed where `fill` is true.
  RowSet resized(std::size_t size, bool fill) const;
  std::vector<Slot> to_slots() const;
  // Writes the allowed slots in [begin, end), ascending, and returns how many. `out` has room for kListSlack slots
  // more, which may be written to. begin <= end <= size().
  std::size_t list(std::size_t begin, std::size_t end, Slot* out) const;
  static constexpr std::size_t kListSlack = BitsetKernels::kListSlack;

  friend bool operator==(const RowSet&, const RowSet&) = default;

  // Calls visit(slot) for every allowed slot in [begin, end), ascending.
  template <class Visit>
  void for_each(std::size_t begin, std::size_t end, Visit&& visit) const {
    for (std::size_t w = begin / kWordBits; w * kWordBits < end; ++w) {
      Word bits = words_[w];
      if (w == begin / kWordBits) bits &= ~Word{0} << (begin % kWordBits);
      if (end - w * kWordBits < kWordBits) bits &= (Word{1} << (end % kWordBits)) - 1;
      for (; bits != 0; bits &= bits - 1) {
        visit(static_cast<Slot>(w * kWordBits + static_cast<std::size_t>(std::countr_zero(bits))));
      }
    }
  }

 private:
  RowSet(std::vector<Word> words, std::size_t size);
  RowSet combine(const RowSet& other, BitsetKernels::Binary kernel) const;

  std::vector<Word> words_;  // bits at and above size_ are zero
  std::size_t size_ = 0;
  std::size_t count_ = 0;
};

}  // namespace vdb
