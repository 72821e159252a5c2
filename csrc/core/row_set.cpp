#include "core/row_set.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace vdb {
namespace {

std::size_t words_for(std::size_t size) { return (size + RowSet::kWordBits - 1) / RowSet::kWordBits; }

// How many of the slots [begin, end) lie in the word of the first.
std::size_t taken_from_word(std::size_t begin, std::size_t end) {
  return std::min(RowSet::kWordBits - begin % RowSet::kWordBits, end - begin);
}

// The bits of `take` slots from `begin` within its word.
RowSet::Word mask(std::size_t begin, std::size_t take) {
  return (~RowSet::Word{0} >> (RowSet::kWordBits - take)) << (begin % RowSet::kWordBits);
}

// Sets bits [begin, end).
void fill_range(std::vector<RowSet::Word>& words, std::size_t begin, std::size_t end) {
  while (begin < end) {
    const std::size_t take = taken_from_word(begin, end);
    words[begin / RowSet::kWordBits] |= mask(begin, take);
    begin += take;
  }
}

}  // namespace

RowSet::RowSet(std::vector<Word> words, std::size_t size)
    : words_(std::move(words)), size_(size), count_(kernels().bitset.count(words_.data(), words_.size())) {}

RowSet RowSet::none(std::size_t size) {
  VDB_CHECK(size <= kMaxSlots, "a row set holds at most 2147483647 slots, got " + std::to_string(size));
  return {std::vector<Word>(words_for(size)), size};
}

RowSet RowSet::from_range(std::size_t begin, std::size_t end, std::size_t size) {
  VDB_CHECK(begin <= end && end <= size, "range [" + std::to_string(begin) + ", " + std::to_string(end) +
                                             ") is not within " + std::to_string(size) + " slots");
  RowSet set = none(size);
  fill_range(set.words_, begin, end);
  set.count_ = end - begin;
  return set;
}

RowSet RowSet::from_slots(std::span<const Slot> slots, std::size_t size) {
  std::vector<Word> words = std::move(none(size).words_);
  for (const Slot slot : slots) {
    VDB_CHECK(slot < size, "slot " + std::to_string(slot) + " is not below " + std::to_string(size));
    words[slot / kWordBits] |= Word{1} << (slot % kWordBits);
  }
  return {std::move(words), size};
}

RowSet RowSet::from_bools(std::span<const std::uint8_t> allowed) {
  std::vector<Word> words = std::move(none(allowed.size()).words_);
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    words[i / kWordBits] |= Word{allowed[i] != 0} << (i % kWordBits);
  }
  return {std::move(words), allowed.size()};
}

RowSet RowSet::from_words(std::vector<Word> words, std::size_t size) {
  const bool fits = size <= kMaxSlots && words.size() == words_for(size);
  VDB_CHECK(fits && (size % kWordBits == 0 || words.back() >> (size % kWordBits) == 0),
            std::to_string(words.size()) + " words are not a row set over " + std::to_string(size) + " slots");
  return {std::move(words), size};
}

RowSet RowSet::combine(const RowSet& other, BitsetKernels::Binary kernel) const {
  VDB_CHECK(size_ == other.size_,
            "row sets over " + std::to_string(size_) + " and " + std::to_string(other.size_) + " slots do not combine");
  RowSet set;
  set.words_.resize(words_.size());
  set.size_ = size_;
  set.count_ = kernel(words_.data(), other.words_.data(), words_.size(), set.words_.data());
  return set;
}

RowSet RowSet::operator&(const RowSet& other) const { return combine(other, kernels().bitset.bit_and); }

RowSet RowSet::operator|(const RowSet& other) const { return combine(other, kernels().bitset.bit_or); }

RowSet RowSet::operator-(const RowSet& other) const { return combine(other, kernels().bitset.bit_andnot); }

RowSet RowSet::operator~() const { return all(size_) - *this; }

RowSet RowSet::resized(std::size_t size, bool fill) const {
  VDB_CHECK(size <= kMaxSlots, "a row set holds at most 2147483647 slots, got " + std::to_string(size));
  std::vector<Word> words = words_;
  words.resize(words_for(size));
  if (size < size_ && size % kWordBits != 0) words.back() &= (Word{1} << (size % kWordBits)) - 1;
  if (fill && size > size_) fill_range(words, size_, size);
  return {std::move(words), size};
}

std::vector<Slot> RowSet::to_slots() const {
  std::vector<Slot> slots(count_ + kListSlack);
  slots.resize(list(0, size_, slots.data()));
  return slots;
}

std::size_t RowSet::list(std::size_t begin, std::size_t end, Slot* out) const {
  const BitsetKernels::List kernel = kernels().bitset.list;
  Slot* at = out;
  while (begin < end) {
    const std::size_t word = begin / kWordBits;
    if (begin % kWordBits == 0 && end - begin >= kWordBits) {
      const std::size_t n = (end - begin) / kWordBits;
      at += kernel(words_.data() + word, n, static_cast<Slot>(begin), at);
      begin += n * kWordBits;
    } else {  // the first and the last word may be cut
      const std::size_t take = taken_from_word(begin, end);
      const Word bits = words_[word] & mask(begin, take);
      at += kernel(&bits, 1, static_cast<Slot>(word * kWordBits), at);
      begin += take;
    }
  }
  return static_cast<std::size_t>(at - out);
}

}  // namespace vdb
