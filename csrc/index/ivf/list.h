// The rows of one list, in blocks of 32: codes, factors and slots of each in one contiguous read. What is read of few
// rows only stands apart.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/aligned_buffer.h"
#include "codec/list_codec.h"
#include "core/slot.h"
#include "simd/kernels.h"

namespace vdb {

struct ListShape {
  static constexpr std::size_t kRows = PackedScanKernels::kRows;

  std::size_t code_bytes;  // of a row, even
  bool interleaved;        // byte j of row i at 32 j + i, else at code_bytes * i + j
  std::size_t extra_bytes;

  static std::size_t blocks(std::size_t rows) noexcept { return (rows + kRows - 1) / kRows; }
  // Multiples of a cache line.
  std::size_t block_bytes() const noexcept { return kRows * (code_bytes + 2 * sizeof(float) + sizeof(Slot)); }
  std::size_t extra_block_bytes() const noexcept { return kRows * extra_bytes; }
  std::size_t row_bytes() const noexcept { return (block_bytes() + extra_block_bytes()) / kRows; }

  // 32 addends, then 32 multipliers.
  std::size_t factors_at() const noexcept { return kRows * code_bytes; }
  // 32 slots, kAbsentSlot behind the last.
  std::size_t slots_at() const noexcept { return factors_at() + 2 * kRows * sizeof(float); }
  // Byte j of row i of a block.
  std::size_t code_at(std::size_t i, std::size_t j) const noexcept {
    return interleaved ? kRows * j + i : code_bytes * i + j;
  }
};

struct List {
  AlignedBuffer<std::uint8_t> blocks;
  AlignedBuffer<std::uint8_t> extra;
  std::size_t rows = 0;
  std::size_t quota = 0;  // rows from which on it is split

  const std::uint8_t* block(const ListShape& shape, std::size_t b) const noexcept {
    return blocks.data() + b * shape.block_bytes();
  }
  ListBlock codes(const ListShape& shape, std::size_t b) const noexcept {
    const std::uint8_t* const begin = block(shape, b);
    return {begin, reinterpret_cast<const float*>(begin + shape.factors_at())};
  }
  const Slot* slots(const ListShape& shape, std::size_t b) const noexcept {
    return reinterpret_cast<const Slot*>(block(shape, b) + shape.slots_at());
  }
  Slot slot(const ListShape& shape, std::size_t row) const noexcept {
    return slots(shape, row / ListShape::kRows)[row % ListShape::kRows];
  }
  const std::uint8_t* extra_of(const ListShape& shape, std::size_t row) const noexcept {
    return extra.data() + row * shape.extra_bytes;
  }

  // Writes what append() takes.
  void read(const ListShape& shape, std::size_t row, const ListRecord& out) const noexcept;
  // Not where searches may see the list.
  void append(const ListShape& shape, Slot slot, const ListRecord& record);
  // The same rows in memory of their own, with room for as many again or none.
  List copy(const ListShape& shape, bool with_room) const;
};

inline void List::read(const ListShape& shape, std::size_t row, const ListRecord& out) const noexcept {
  const std::size_t lane = row % ListShape::kRows;
  const ListBlock from = codes(shape, row / ListShape::kRows);
  for (std::size_t j = 0; j < shape.code_bytes; ++j) out.code[j] = from.codes[shape.code_at(lane, j)];
  *out.factors = {from.factors[lane], from.factors[ListShape::kRows + lane]};
  std::copy_n(extra_of(shape, row), shape.extra_bytes, out.extra);
}

inline List List::copy(const ListShape& shape, bool with_room) const {
  const std::size_t n = ListShape::blocks(rows) * (with_room ? 2 : 1) + (with_room ? 1 : 0);
  List copied{AlignedBuffer<std::uint8_t>(n * shape.block_bytes(), 0),
              AlignedBuffer<std::uint8_t>(n * shape.extra_block_bytes(), 0), rows, quota};
  std::copy_n(blocks.data(), ListShape::blocks(rows) * shape.block_bytes(), copied.blocks.data());
  std::copy_n(extra.data(), ListShape::blocks(rows) * shape.extra_block_bytes(), copied.extra.data());
  return copied;
}

inline void List::append(const ListShape& shape, Slot slot, const ListRecord& record) {
  constexpr std::size_t kRows = ListShape::kRows;
  const std::size_t lane = rows % kRows;
  if (lane == 0 && (rows / kRows + 1) * shape.block_bytes() > blocks.size()) *this = copy(shape, true);
  std::uint8_t* const begin = blocks.data() + rows / kRows * shape.block_bytes();
  auto* const factors = reinterpret_cast<float*>(begin + shape.factors_at());
  auto* const slots = reinterpret_cast<Slot*>(begin + shape.slots_at());
  if (lane == 0) {
    std::fill_n(factors, kRows, std::numeric_limits<float>::infinity());
    std::fill_n(slots, kRows, kAbsentSlot);
  }
  for (std::size_t j = 0; j < shape.code_bytes; ++j) begin[shape.code_at(lane, j)] = record.code[j];
  factors[lane] = record.factors->add;
  factors[kRows + lane] = record.factors->multiply;
  slots[lane] = slot;
  std::copy_n(record.extra, shape.extra_bytes, extra.data() + rows * shape.extra_bytes);
  ++rows;
}

}  // namespace vdb
