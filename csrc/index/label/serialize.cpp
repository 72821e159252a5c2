#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "index/label/label_graph.h"
#include "io/require.h"

namespace vdb {
namespace {

// The "params" section, as FORMAT.md lists it.
struct Record {
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint64_t seed;
  std::uint64_t min_rows;
  std::uint64_t covered;
  std::uint64_t rows;
};
static_assert(sizeof(Record) == 48);

// An overlay of the "overlays" section; its number is its position.
struct OverlayRecord {
  std::uint32_t label;
  std::uint32_t entries;
  std::uint64_t nodes;
  std::uint64_t stride;
};
static_assert(sizeof(OverlayRecord) == 24);

Record read_record(const Container& file) {
  const Bytes bytes = file.section("params");
  require(bytes.size() == sizeof(Record), file, "params", std::to_string(sizeof(Record)) + " bytes", bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  require(record.metric <= static_cast<std::uint32_t>(Metric::kCustom), file, "params", "a metric", record.metric);
  require(record.M >= 2 && record.M <= 1024, file, "params", "M from 2 to 1024", record.M);
  require(record.rows < OverlayRows::kNone, file, "params", "fewer than 4294967295 rows", record.rows);
  return record;
}

void require_size(const Container& file, const char* section, std::uint64_t bytes) {
  const std::size_t found = file.section(section).size();
  require(found == bytes, file, section, std::to_string(bytes) + " bytes", found);
}

Overlays read_overlays(const Container& file) {
  const Bytes bytes = file.section("overlays");
  require(bytes.size() % sizeof(OverlayRecord) == 0, file, "overlays", "records of 24 bytes", bytes.size());
  const AlignedBuffer<Slot> entries = file.values<Slot>("entries");
  Overlays overlays(bytes.size() / sizeof(OverlayRecord));
  std::size_t begin = 0;
  for (std::size_t i = 0; i < overlays.size(); ++i) {
    OverlayRecord record;
    std::memcpy(&record, bytes.data() + i * sizeof record, sizeof record);
    require(i == 0 || record.label > overlays[i - 1].label, file, "overlays", "labels that rise", record.label);
    require(record.entries >= 1 && record.entries <= Overlay::kEntries && record.entries <= entries.size() - begin,
            file, "overlays", "1 to 32 entries", record.entries);
    require(record.stride >= 1, file, "overlays", "a stride", record.stride);
    overlays[i] = {record.label,
                   static_cast<std::uint32_t>(i),
                   record.nodes,
                   record.stride,
                   {entries.data() + begin, entries.data() + begin + record.entries}};
    begin += record.entries;
  }
  require_size(file, "entries", begin * sizeof(Slot));
  return overlays;
}

}  // namespace

std::uint64_t LabelGraph::save(const std::string& path, Bytes identity) {
  const std::lock_guard lock(writer_);
  const Published now = published();
  std::vector<std::uint64_t> nodes(next_number_, 0);  // by number; of what a cancelled extend() has added, too
  for (std::size_t row = 0; row < used_rows_; ++row) ++nodes[now.rows->links()[row].overlay];
  std::vector<std::uint32_t> new_number(next_number_, OverlayRows::kNone);
  std::vector<OverlayRecord> overlays;
  std::vector<Slot> entries;
  std::size_t used = 0;
  for (const Overlay& overlay : *now.overlays) {
    new_number[overlay.number] = static_cast<std::uint32_t>(overlays.size());
    overlays.push_back(
        {overlay.label, static_cast<std::uint32_t>(overlay.entries.size()), nodes[overlay.number], overlay.stride});
    entries.insert(entries.end(), overlay.entries.begin(), overlay.entries.end());
    used += nodes[overlay.number];
  }
  const std::shared_ptr<OverlayRows> rows = now.rows->packed(new_number, used);
  std::size_t slots = rows->slots();  // without the room to grow
  while (slots > covered() && rows->heads()[slots - 1] == OverlayRows::kNone) --slots;
  const Record record{static_cast<std::uint32_t>(params_.M),
                      static_cast<std::uint32_t>(params_.ef_construction),
                      static_cast<std::uint32_t>(params_.dim),
                      static_cast<std::uint32_t>(params_.metric),
                      params_.seed,
                      params_.min_rows,
                      covered(),
                      used};
  const std::vector<Section> sections{
      Section{"params", bytes_of(std::span<const Record>(&record, 1))},
      Section{"overlays", bytes_of(std::span<const OverlayRecord>(overlays))},
      Section{"entries", bytes_of(std::span<const Slot>(entries))},
      Section{"heads", bytes_of(rows->heads().first(slots))},
      Section{"links", bytes_of(rows->links())},
      Section{"edges", bytes_of(rows->edges())},
  };
  return write_container(path, identity, sections);
}

std::unique_ptr<LabelGraph> LabelGraph::load(const std::string& path) {
  const Container file = Container::read(path);
  const Record record = read_record(file);
  Overlays overlays = read_overlays(file);
  const std::size_t slots = file.section("heads").size() / sizeof(std::uint32_t);
  require(slots <= kMaxSlots && record.covered <= slots, file, "params", std::to_string(slots) + " slots or fewer",
          record.covered);
  require_size(file, "heads", slots * sizeof(std::uint32_t));
  require_size(file, "links", record.rows * sizeof(OverlayRows::Link));
  require_size(file, "edges", record.rows * 2 * record.M * sizeof(Slot));
  std::unique_ptr<LabelGraph> graph;
  try {
    graph = std::make_unique<LabelGraph>(LabelParams{record.dim, static_cast<Metric>(record.metric), record.M,
                                                     record.ef_construction, record.seed, record.min_rows});
  } catch (const InvalidArgument& reason) {
    throw Corrupted({path, "params", 0, "parameters in range", reason.what()});
  }
  graph->identity_.assign(file.identity().begin(), file.identity().end());
  graph->published_ = {
      std::make_shared<OverlayRows>(file.values<std::uint32_t>("heads"), file.values<OverlayRows::Link>("links"),
                                    file.values<Slot>("edges"), 2 * record.M),
      std::make_shared<const Overlays>(overlays)};
  graph->used_rows_ = record.rows;
  graph->next_number_ = static_cast<std::uint32_t>(overlays.size());
  for (Overlay& overlay : overlays) graph->held_.push_back({std::move(overlay), true});
  graph->loaded_ = true;
  graph->check(path);
  graph->covered_.store(record.covered, std::memory_order_release);
  return graph;
}

}  // namespace vdb
