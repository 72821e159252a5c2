// The rows of one list, in blocks of 32: codes and factors of each in one contiguous read. Slots, which a filter looks
// at before any code, and what is read of few rows only stand apart.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/aligned_buffer.h"
#include "base/half.h"
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
  std::size_t block_bytes() const noexcept { return kRows * (code_bytes + 2 * sizeof(std::uint16_t)); }
  std::size_t extra_block_bytes() const noexcept { return kRows * extra_bytes; }
  std::size_t row_bytes() const noexcept { return (block_bytes() + extra_block_bytes()) / kRows + sizeof(Slot); }

  // 32 addends, then 32 multipliers, in bfloat16.
  std::size_t factors_at() const noexcept { return kRows * code_bytes; }
  // Byte j of row i of a block.
  std::size_t code_at(std::size_t i, std::size_t j) const noexcept {
    return interleaved ? kRows * j + i : code_bytes * i + j;
  }
};

struct List {
  AlignedBuffer<std::uint8_t> blocks;
  AlignedBuffer<std::uint8_t> extra;
  AlignedBuffer<Slot> slots;  // as many as the blocks have room for, kAbsentSlot behind the last
  std::size_t rows = 0;
  std::size_t quota = 0;  // rows from which on it is split

  const std::uint8_t* block(const ListShape& shape, std::size_t b) const noexcept {
    return blocks.data() + b * shape.block_bytes();
  }
  ListBlock codes(const ListShape& shape, std::size_t b) const noexcept {
    const std::uint8_t* const begin = block(shape, b);
    return {begin, reinterpret_cast<const std::uint16_t*>(begin + shape.factors_at())};
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
  *out.factors = {from_bfloat16(from.factors[lane]), from_bfloat16(from.factors[ListShape::kRows + lane])};
  std::copy_n(extra_of(shape, row), shape.extra_bytes, out.extra);
}

inline List List::copy(const ListShape& shape, bool with_room) const {
  const std::size_t n = ListShape::blocks(rows) * (with_room ? 2 : 1) + (with_room ? 1 : 0);
  List copied{AlignedBuffer<std::uint8_t>(n * shape.block_bytes(), 0),
              AlignedBuffer<std::uint8_t>(n * shape.extra_block_bytes(), 0),
              AlignedBuffer<Slot>(n * ListShape::kRows, kAbsentSlot), rows, quota};
  std::copy_n(blocks.data(), ListShape::blocks(rows) * shape.block_bytes(), copied.blocks.data());
  std::copy_n(extra.data(), ListShape::blocks(rows) * shape.extra_block_bytes(), copied.extra.data());
  std::copy_n(slots.data(), rows, copied.slots.data());
  return copied;
}

inline void List::append(const ListShape& shape, Slot slot, const ListRecord& record) {
  constexpr std::size_t kRows = ListShape::kRows;
  const std::size_t lane = rows % kRows;
  if (lane == 0 && (rows / kRows + 1) * shape.block_bytes() > blocks.size()) *this = copy(shape, true);
  std::uint8_t* const begin = blocks.data() + rows / kRows * shape.block_bytes();
  auto* const factors = reinterpret_cast<std::uint16_t*>(begin + shape.factors_at());
  if (lane == 0) std::fill_n(factors, kRows, to_bfloat16(std::numeric_limits<float>::infinity()));
  for (std::size_t j = 0; j < shape.code_bytes; ++j) begin[shape.code_at(lane, j)] = record.code[j];
  factors[lane] = to_bfloat16(record.factors->add);
  factors[kRows + lane] = to_bfloat16(record.factors->multiply);
  slots[rows] = slot;
  std::copy_n(record.extra, shape.extra_bytes, extra.data() + rows * shape.extra_bytes);
  ++rows;
}

}  // namespace vdb
