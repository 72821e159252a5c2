// The rows of a filter by cell: where those near a query are, and how many of the rows there they are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/row_set.h"
#include "core/search_batch.h"
#include "core/vectors.h"
#include "index/cells/cells.h"

namespace vdb {

class Population {
 public:
  // Costs nothing where at least one row in 64 is allowed: cells are then read when a query comes near. Else it lists
  // the allowed rows by cell, of more than 16,384 about as many that are spread over the table. `allowed` must outlive
  // it.
  Population(Cells::Snapshot cells, const RowSet& allowed);

  // (nq, batch.k) slots, padded with kAbsentSlot, and (nq,) densities.
  struct Seeds {
    Slot* slots;
    float* density;
  };
  // For each query the allowed rows of the cells nearest to it, cell after cell until there are batch.k; fewer where
  // there are no more or where many cells had none. Rows that came after the cells are not among them. The density is
  // the share of the allowed among all placed rows, dead ones included, in the nearest cells, which hold one row in 64
  // or more: exact, but where the listed rows are not all. InvalidArgument for vectors of another kind, Cancelled.
  void seeds(const VectorView& view, const QueryBatch& batch, const Seeds& out) const;

 private:
  struct Ranked {
    float distance;
    std::uint32_t cell;

    // The nearest is the greatest of a heap.
    friend bool operator<(const Ranked& a, const Ranked& b) noexcept {
      return a.distance > b.distance || (a.distance == b.distance && a.cell > b.cell);
    }
  };
  struct Share {
    std::size_t rows;
    std::size_t allowed;
  };
  // The seeds of one query so far.
  struct Found {
    Slot* slots;
    std::size_t n;
    std::size_t wanted;
  };
  struct Scratch;

  void list_rows();
  void sort_by_cell(std::span<const Slot> slots);
  std::array<std::span<const Slot>, 2> runs_of(std::size_t cell) const;
  std::span<const Slot> allowed_of(std::size_t cell, std::vector<Slot>& room) const;
  Share take_nearest(Scratch& scratch, Found& found) const;
  float find(Scratch& scratch, Found found) const;

  Cells::Snapshot cells_;
  const RowSet& allowed_;
  std::size_t limit_;    // slots below this are known to both
  bool listed_ = false;  // whether begin_ and slots_ hold the allowed rows
  float rows_per_listed_ = 1;
  std::vector<std::uint32_t> begin_;
  std::vector<Slot> slots_;
};

}  // namespace vdb
