// Cells in the snapshot of the index they are of: centroids and the cell of each slot. The codes of the centroids are
// trained anew, which takes a few hundred rows.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/check.h"
#include "index/cells/cells.h"
#include "io/require.h"

namespace vdb {
namespace {

// The "cells" section, as FORMAT.md lists it.
struct Record {
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint32_t n;
  std::uint32_t count;
  std::uint64_t seed;
  std::uint64_t covered;
  std::uint64_t trained_on;
};
static_assert(sizeof(Record) == 40);

Record read_record(const Container& file) {
  const Bytes bytes = file.section("cells");
  require(bytes.size() == sizeof(Record), file, "cells", std::to_string(sizeof(Record)) + " bytes", bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  require(record.metric < static_cast<std::uint32_t>(Metric::kCustom), file, "cells", "l2, cosine or ip",
          record.metric);
  require(record.count <= Cells::kNone, file, "cells", "at most 65535 cells", record.count);
  require(record.covered <= kMaxSlots, file, "cells", "at most 2147483647 slots", record.covered);
  require(record.trained_on <= record.covered, file, "cells", "at most the covered slots", record.trained_on);
  return record;
}

}  // namespace

std::array<Section, 3> Cells::Image::sections() const {
  const bool trained = now.centroids != nullptr;
  const std::span<const float> values =
      trained ? std::span<const float>(now.centroids->values) : std::span<const float>();
  const std::span<const Cell> cells = trained ? now.cell_of->span().first(now.covered) : std::span<const Cell>();
  return {Section{"cells", params}, Section{"centroid", bytes_of(values)}, Section{"cellof", bytes_of(cells)}};
}

Cells::Image Cells::image() const {
  Image image;
  {
    const std::lock_guard lock(snapshot_mutex_);
    image.now = snapshot_;
  }
  const std::size_t count = image.now.centroids ? image.now.centroids->n : 0;
  const Record record{static_cast<std::uint32_t>(params_.dim),
                      static_cast<std::uint32_t>(params_.metric),
                      static_cast<std::uint32_t>(params_.n),
                      static_cast<std::uint32_t>(count),
                      params_.seed,
                      image.now.covered,
                      image.now.trained_on};
  const Bytes bytes = bytes_of(std::span<const Record>(&record, 1));
  image.params.assign(bytes.begin(), bytes.end());
  return image;
}

std::unique_ptr<Cells> Cells::restore(const Container& file) {
  if (!file.has("cells")) return nullptr;
  const Record record = read_record(file);
  std::unique_ptr<Cells> cells;
  try {
    cells = std::make_unique<Cells>(CellsParams{record.dim, static_cast<Metric>(record.metric), record.n, record.seed});
  } catch (const InvalidArgument& reason) {
    throw Corrupted({file.path(), "cells", 0, "parameters in range", reason.what()});
  }
  const std::size_t slots = record.count == 0 ? 0 : record.covered;
  const AlignedBuffer<float> values = file.values<float>("centroid");
  const std::size_t expected = std::size_t{record.count} * record.dim;
  require(file.section("centroid").size() == expected * sizeof(float), file, "centroid",
          std::to_string(expected) + " coordinates", values.size());
  auto cell_of = std::make_shared<AlignedBuffer<Cell>>(file.values<Cell>("cellof"));
  require(file.section("cellof").size() == slots * sizeof(Cell), file, "cellof", std::to_string(slots) + " cells",
          cell_of->size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) require(false, file, "centroid", "finite coordinates", i);
  }
  for (std::size_t slot = 0; slot < slots; ++slot) {
    const Cell cell = (*cell_of)[slot];
    if (cell >= record.count && cell != kNone) {
      require(false, file, "cellof", "cells below " + std::to_string(record.count) + " of slot " + std::to_string(slot),
              cell);
    }
  }
  if (record.count == 0) return cells;  // nothing to learn from was there yet
  cells->snapshot_.centroids = coded({values.data(), values.data() + values.size()}, record.count, cells->params_);
  cells->snapshot_.cell_of = std::move(cell_of);
  cells->snapshot_.covered = record.covered;
  cells->snapshot_.trained_on = record.trained_on;
  return cells;
}

std::unique_ptr<Cells> Cells::renumbered(std::span<const Slot> new_slot_of) const {
  Image before = image();
  const Snapshot& now = before.now;
  VDB_CHECK(new_slot_of.size() >= now.covered, "numbers for " + std::to_string(new_slot_of.size()) +
                                                   " slots, the cells cover " + std::to_string(now.covered));
  auto cells = std::make_unique<Cells>(params_);
  if (!now.centroids) return cells;
  std::size_t slots = 0;
  for (std::size_t slot = 0; slot < now.covered; ++slot) {
    const Slot number = new_slot_of[slot];
    if (number == kAbsentSlot) continue;
    VDB_CHECK(number >= slots && number <= slot, "the new numbers of slots do not rise");
    slots = std::size_t{number} + 1;
  }
  auto cell_of = std::make_shared<AlignedBuffer<Cell>>(slots, kNone);
  for (std::size_t slot = 0; slot < now.covered; ++slot) {
    if (new_slot_of[slot] != kAbsentSlot) (*cell_of)[new_slot_of[slot]] = (*now.cell_of)[slot];
  }
  cells->snapshot_.centroids = now.centroids;
  cells->snapshot_.cell_of = std::move(cell_of);
  cells->snapshot_.covered = slots;
  cells->snapshot_.trained_on = std::min(now.trained_on, slots);
  return cells;
}

}  // namespace vdb
