// The vectors of a column in cells of k-means: which rows lie where, known from a few centroids a query. A filter's
// rows in the cells nearest to a query are where a walk may start and tell how filter and query go together. Derived
// data: one writer extends them while searches go on over the state they took.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cancel.h"
#include "codec/scalar_quantizer.h"
#include "core/metric.h"
#include "core/row_set.h"
#include "core/slot.h"
#include "core/vectors.h"
#include "io/container.h"

namespace vdb {

struct CellsParams {
  std::size_t dim;
  Metric metric;      // not of the caller's
  std::size_t n = 0;  // cells, up to 65,535; 0: by the number of rows
  std::uint64_t seed = 42;
};

struct CellsExtend {
  const RowSet* rows;  // slots to train on and to place; null: all
  std::size_t threads;
  CancelToken* cancel;  // not null
};

class Cells {
 public:
  using Cell = std::uint16_t;
  static constexpr Cell kNone = 0xffff;  // of a slot that was not to be placed

  // Centroids of vectors in code space, and their codes, by which a query finds the nearest ones: a byte a dimension
  // orders them as well as the vectors do and is read in a fourth of the time.
  struct Centroids {
    std::vector<float> values;  // (n, dim)
    ScalarQuantizer codec;
    std::vector<std::uint8_t> records;
    std::size_t n;

    CodeRows rows() const noexcept { return {records.data(), n, codec.record_bytes()}; }
  };

  // The slots of each cell, ascending, of those in [first, end).
  struct Runs {
    std::vector<std::uint32_t> begin;  // (n + 1)
    std::vector<Slot> slots;
    std::size_t first;
    std::size_t end;

    std::span<const Slot> of(std::size_t cell) const noexcept {
      return {slots.data() + begin[cell], begin[cell + 1] - begin[cell]};
    }
  };

  // What no later extend() changes. Without centroids before there was a row to learn from.
  struct Snapshot {
    std::shared_ptr<const Centroids> centroids;
    std::shared_ptr<const AlignedBuffer<Cell>> cell_of;  // (covered,) or more
    std::shared_ptr<const Runs> runs;                    // of most slots
    std::shared_ptr<const Runs> late;                    // of those that came since; null: none
    std::size_t covered = 0;
    std::size_t trained_on = 0;  // rows there were when the centroids were found
    Metric metric = Metric::kL2;
  };

  // InvalidArgument where a parameter is out of range.
  explicit Cells(const CellsParams& params);

  // Places the allowed slots in [covered(), view.n). Finds centroids first, and anew, placing every slot again, once
  // there are four times the rows. Cancelled leaves the cells as they were.
  void extend(const VectorView& view, const CellsExtend& options);

  // What a snapshot of an index holds of cells.
  struct Image {
    Snapshot now;
    std::vector<unsigned char> params;

    std::array<Section, 3> sections() const;  // valid while the image lives
  };
  Image image() const;
  // Null where the file has none; Corrupted where the sections are not those of cells.
  static std::unique_ptr<Cells> restore(const Container& file);
  // The same cells under other slot numbers: one for each covered slot, rising, kAbsentSlot for those that are no more.
  std::unique_ptr<Cells> renumbered(std::span<const Slot> new_slot_of) const;

  // Sorts the slots by cell that came since the last call, and now and then all of them.
  Snapshot snapshot() const;

  const CellsParams& params() const noexcept { return params_; }
  std::size_t covered() const;
  std::size_t count() const;  // cells; 0 before there was a row
  std::size_t memory_bytes() const;

 private:
  // `n` centroids (n, dim) with their codes.
  static std::shared_ptr<const Centroids> coded(std::vector<float> values, std::size_t n, const CellsParams& params);
  std::shared_ptr<const Centroids> train(const VectorView& view, const std::vector<Slot>& slots,
                                         const CellsExtend& options) const;
  void place(const VectorView& view, const CellsExtend& options, std::size_t begin, const Centroids& centroids,
             Cell* cell_of) const;
  std::size_t cells_for(std::size_t rows) const noexcept;

  CellsParams params_;
  std::mutex writer_;
  mutable std::mutex snapshot_mutex_;
  mutable Snapshot snapshot_;  // its runs null, or not of every slot, where they are to be made
};

}  // namespace vdb
