// The next state of an inverted file while its writer makes it: lists that change are copied first, since searches may
// see the old ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/ivf/ivf.h"
#include "index/ivf/train.h"

namespace vdb {

class Draft {
 public:
  // `state` with its lists; nothing of it changes.
  explicit Draft(const IvfState& state) : state_(state), open_(state.lists.size()) {}

  const IvfState& state() const noexcept { return state_; }

  // Empty lists of another training.
  void begin(const IvfTraining& training, const IvfParams& params);

  // Encodes slots, none of which is in a list, into the lists of their nearest centroids. Cancelled.
  void place(const VectorView& view, std::span<const Slot> slots, const IvfExtend& options);

  // Splits lists that have reached their quota, by k-means of their rows, which then go where they are nearest.
  void split(const VectorView& view, const IvfParams& params, const IvfExtend& options);

  // Keeps the rows of a list whose slot `number_of` does not make kAbsentSlot, under that number.
  template <class NumberOf>
  void renumber(std::size_t list, NumberOf number_of);

  // What was placed is what later rows are compared with, and the lists are as long as they should be.
  void settle();

  // The draft must not be used any more.
  std::shared_ptr<const IvfState> finish(std::size_t covered);

 private:
  // A list that may be changed.
  List& open(std::size_t list);
  const List& list(std::size_t i) const { return open_[i] ? *open_[i] : *state_.lists[i]; }
  template <class Codec>
  void place_with(const Codec& codec, const VectorView& view, std::span<const Slot> slots, const IvfExtend& options);
  // Rows a list should hold on average.
  std::size_t mean_rows() const noexcept;
  std::size_t quota_for(std::size_t rows) const noexcept;
  // The slots of a list, which is empty then.
  std::vector<Slot> take(std::size_t list);
  void set_directory(std::vector<std::uint16_t> offsets, const IvfParams& params);

  IvfState state_;
  std::vector<std::shared_ptr<List>> open_;  // null where a list is as it was
};

template <class NumberOf>
void Draft::renumber(std::size_t i, NumberOf number_of) {
  const List& from = list(i);
  const ListShape& shape = state_.model->shape;
  std::vector<std::uint8_t> code(shape.code_bytes);
  std::vector<std::uint8_t> extra(shape.extra_bytes);
  ResidualFactors factors{};
  const ListRecord record{code.data(), &factors, extra.data()};
  auto kept = std::make_shared<List>();
  kept->quota = from.quota;
  for (std::size_t row = 0; row < from.rows; ++row) {
    const Slot number = number_of(from.slots[row]);
    if (number == kAbsentSlot) continue;
    from.read(shape, row, record);
    kept->append(shape, number, record);
  }
  state_.rows -= from.rows - kept->rows;
  open_[i] = std::move(kept);
}

}  // namespace vdb
