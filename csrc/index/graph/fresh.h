// The nodes that one hop brings into play and their distances, in arrays of the shape that Distance::measure asks for.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/aligned_buffer.h"
#include "core/distance.h"
#include "core/slot.h"

namespace vdb {

class Fresh {
 public:
  // Empties it; up to `most` nodes have room.
  void reset(std::size_t most) {
    if (slots_.size() < most) {
      slots_ = AlignedBuffer<Slot>(measured_room(most), 0);
      distances_ = AlignedBuffer<float>(measured_room(most), 0);
    }
    size_ = 0;
  }

  // Where nodes are written, their distances where those are known, and how many were.
  Slot* room() noexcept { return slots_.data(); }
  float* distance_room() noexcept { return distances_.data(); }
  void resize(std::size_t size) noexcept { size_ = size; }

  std::size_t size() const noexcept { return size_; }
  std::span<const Slot> slots() const noexcept { return {slots_.data(), size_}; }
  const float* distances() const noexcept { return distances_.data(); }

  template <class Distance>
  void measure(const Distance& distance) noexcept {
    if (size_ == 0) return;
    std::fill(slots_.data() + size_, slots_.data() + measured_room(size_), slots_[0]);
    distance.measure(slots(), distances_.data());
  }

 private:
  AlignedBuffer<Slot> slots_;
  AlignedBuffer<float> distances_;
  std::size_t size_ = 0;
};

}  // namespace vdb
