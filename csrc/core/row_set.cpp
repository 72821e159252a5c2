#include "core/row_set.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/check.h"

namespace vdb {
namespace {

std::size_t words_for(std::size_t size) { return (size + RowSet::kWordBits - 1) / RowSet::kWordBits; }

// Sets bits [begin, end).
void fill_range(std::vector<RowSet::Word>& words, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end;) {
    const std::size_t bit = i % RowSet::kWordBits;
    const std::size_t take = std::min(RowSet::kWordBits - bit, end - i);
    const RowSet::Word ones = take == RowSet::kWordBits ? ~RowSet::Word{0} : (RowSet::Word{1} << take) - 1;
    words[i / RowSet::kWordBits] |= ones << bit;
    i += take;
  }
}

}  // namespace

RowSet::RowSet(std::vector<Word> words, std::size_t size) : words_(std::move(words)), size_(size) {
  for (const Word word : words_) count_ += static_cast<std::size_t>(std::popcount(word));
}

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

template <class Op>
RowSet RowSet::combine(const RowSet& other, Op op) const {
  VDB_CHECK(size_ == other.size_,
            "row sets over " + std::to_string(size_) + " and " + std::to_string(other.size_) + " slots do not combine");
  std::vector<Word> words(words_.size());
  std::transform(words_.begin(), words_.end(), other.words_.begin(), words.begin(), op);
  return {std::move(words), size_};
}

RowSet RowSet::operator&(const RowSet& other) const {
  return combine(other, [](Word a, Word b) { return a & b; });
}

RowSet RowSet::operator|(const RowSet& other) const {
  return combine(other, [](Word a, Word b) { return a | b; });
}

RowSet RowSet::operator-(const RowSet& other) const {
  return combine(other, [](Word a, Word b) { return a & ~b; });
}

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
  std::vector<Slot> slots;
  slots.reserve(count_);
  for_each(0, size_, [&](Slot slot) { slots.push_back(slot); });
  return slots;
}

}  // namespace vdb
