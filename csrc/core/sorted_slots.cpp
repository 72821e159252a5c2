#include "core/sorted_slots.h"

#include <algorithm>
#include <string>

#include "base/check.h"

namespace vdb {
namespace {

// A span costs at most half a step of single slots at each end. 64 prefixes take eight bytes a slot, beside the twelve
// of a key and a slot: of a million rows a span is then found in the time of a walk's few hops.
constexpr std::size_t kPrefixes = 64;
// Below this, marking every slot is as cheap as combining bitmaps.
constexpr std::size_t kLeastStep = 1024;

}  // namespace

SortedSlots::SortedSlots(std::vector<Key> keys, std::vector<Slot> slots, std::size_t size)
    : keys_(std::move(keys)), slots_(std::move(slots)), size_(size) {
  VDB_CHECK(size <= kMaxSlots, "a row set holds at most 2147483647 slots, got " + std::to_string(size));
  VDB_CHECK(keys_.size() == slots_.size(),
            "got " + std::to_string(keys_.size()) + " keys for " + std::to_string(slots_.size()) + " slots");
  VDB_CHECK(std::is_sorted(keys_.begin(), keys_.end()), "the keys do not ascend");
  const auto largest = std::max_element(slots_.begin(), slots_.end());
  VDB_CHECK(largest == slots_.end() || *largest < size,
            "slot " + std::to_string(*largest) + " is not below " + std::to_string(size));
  add_prefixes();
}

std::size_t SortedSlots::memory_bytes() const noexcept {
  const std::size_t prefix = prefixes_.empty() ? 0 : prefixes_.front().size() * sizeof(Word);
  return keys_.size() * (sizeof(Key) + sizeof(Slot)) + prefixes_.size() * prefix;
}

RowSet SortedSlots::between(Key low, Key high, std::size_t size) const {
  const auto [begin, end] = places(low, high);
  std::vector<Word> words = no_words(size);
  if (step_ == 0 || end - begin <= step_) {
    mark(words, begin, end);
    return RowSet::from_words(std::move(words), size);
  }
  // The prefix nearest to the end without the one nearest to the begin, and what they have too much or too little.
  const std::size_t first = nearest_prefix(begin);
  const std::size_t last = nearest_prefix(end);
  const std::vector<Word>& whole = prefixes_[last];
  kernels().bitset.bit_andnot(whole.data(), prefixes_[first].data(), whole.size(), words.data());
  if (begin < first * step_) {
    mark(words, begin, first * step_);
  } else {
    clear(words, first * step_, begin);
  }
  if (end > last * step_) {
    mark(words, last * step_, end);
  } else {
    clear(words, end, last * step_);
  }
  return RowSet::from_words(std::move(words), size);
}

RowSet SortedSlots::any_of(std::span<const Key> keys, std::size_t size) const {
  std::vector<Word> words = no_words(size);
  for (const Key key : keys) {
    const auto [begin, end] = places(key, key);
    mark(words, begin, end);
  }
  return RowSet::from_words(std::move(words), size);
}

std::size_t SortedSlots::count_between(Key low, Key high) const noexcept {
  const auto [begin, end] = places(low, high);
  return end - begin;
}

// [begin, end) of the places with a key in [low, high].
std::pair<std::size_t, std::size_t> SortedSlots::places(Key low, Key high) const noexcept {
  if (low > high) return {0, 0};
  const auto begin = std::lower_bound(keys_.begin(), keys_.end(), low);
  const auto end = std::upper_bound(begin, keys_.end(), high);
  return {static_cast<std::size_t>(begin - keys_.begin()), static_cast<std::size_t>(end - keys_.begin())};
}

std::vector<SortedSlots::Word> SortedSlots::no_words(std::size_t size) const {
  VDB_CHECK(size >= size_ && size <= kMaxSlots,
            "the row set needs " + std::to_string(size_) + " slots at least, got " + std::to_string(size));
  return std::vector<Word>((size + RowSet::kWordBits - 1) / RowSet::kWordBits);
}

// A slot that comes twice would be in a prefix although one of its places is not, so then there are none.
void SortedSlots::add_prefixes() {
  const std::size_t step = std::max(kLeastStep, (length() + kPrefixes - 1) / kPrefixes);
  if (length() <= step || RowSet::from_slots(slots_, size_).count() != length()) return;
  step_ = step;
  std::vector<Word> words = no_words(size_);
  prefixes_.push_back(words);
  for (std::size_t begin = 0; begin + step <= length(); begin += step) {
    mark(words, begin, begin + step);
    prefixes_.push_back(words);
  }
}

std::size_t SortedSlots::nearest_prefix(std::size_t place) const noexcept {
  return std::min((place + step_ / 2) / step_, prefixes_.size() - 1);
}

void SortedSlots::mark(std::vector<Word>& words, std::size_t begin, std::size_t end) const noexcept {
  for (std::size_t i = begin; i < end; ++i) {
    words[slots_[i] / RowSet::kWordBits] |= Word{1} << (slots_[i] % RowSet::kWordBits);
  }
}

void SortedSlots::clear(std::vector<Word>& words, std::size_t begin, std::size_t end) const noexcept {
  for (std::size_t i = begin; i < end; ++i) {
    words[slots_[i] / RowSet::kWordBits] &= ~(Word{1} << (slots_[i] % RowSet::kWordBits));
  }
}

}  // namespace vdb
