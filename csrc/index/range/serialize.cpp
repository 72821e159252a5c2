#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "index/range/range.h"

namespace vdb {
namespace {

// The "params" section, as FORMAT.md lists it.
struct Record {
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint32_t layers;
  std::uint32_t zero;
  std::uint64_t seed;
  std::uint64_t covered;
  std::uint64_t slots;
  std::uint64_t nodes;
};
static_assert(sizeof(Record) == 56);

// What a loader says about a section that passed its checksum and still makes no sense.
class Verdict {
 public:
  explicit Verdict(const std::string& path) : path_(path) {}

  void require(bool holds, const std::string& section, std::uint64_t at, const std::string& expected,
               std::uint64_t found) const {
    if (!holds) throw Corrupted({path_, section, at, expected, std::to_string(found)});
  }

  // A section of `count` values of `size` bytes.
  void require_length(const Container& file, const std::string& section, std::uint64_t count, std::size_t size) const {
    const std::size_t found = file.section(section).size();
    require(found == count * size, section, 0, std::to_string(count * size) + " bytes", found);
  }

 private:
  const std::string& path_;
};

std::string layer_tag(std::size_t layer) { return "layer" + std::to_string(layer); }

Record read_record(const Container& file, const Verdict& verdict) {
  const Bytes bytes = file.section("params");
  verdict.require(bytes.size() == sizeof(Record), "params", 0, std::to_string(sizeof(Record)) + " bytes", bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  verdict.require(record.metric <= static_cast<std::uint32_t>(Metric::kCustom), "params", 12, "a metric",
                  record.metric);
  verdict.require(record.layers >= 1 && record.layers <= kMaxLayers, "params", 16,
                  "1 to " + std::to_string(kMaxLayers) + " layers", record.layers);
  verdict.require(record.zero == 0, "params", 20, "zero", record.zero);
  verdict.require(record.slots <= kMaxSlots, "params", 40, "at most 2147483647 slots", record.slots);
  verdict.require(record.covered <= record.slots, "params", 32, "at most the slots", record.covered);
  verdict.require(record.nodes <= record.slots, "params", 48, "at most the slots", record.nodes);
  return record;
}

std::shared_ptr<RangeLayers> read_layers(const Container& file, const Record& record, const Verdict& verdict) {
  std::vector<AlignedBuffer<Slot>> tables;
  for (std::size_t layer = 0; layer < record.layers; ++layer) {
    verdict.require_length(file, layer_tag(layer), record.slots * record.M, sizeof(Slot));
    tables.push_back(file.values<Slot>(layer_tag(layer)));
  }
  verdict.require_length(file, "keys", record.slots, sizeof(std::int64_t));
  return std::make_shared<RangeLayers>(std::move(tables), file.values<std::int64_t>("keys"), record.M);
}

// The rows of the graph with their keys, which must rise: so each stands there once.
std::vector<Ranked> read_order(const Container& file, const Record& record, RangeLayers& layers,
                               const Verdict& verdict) {
  verdict.require_length(file, "order", record.nodes, sizeof(Slot));
  const AlignedBuffer<Slot> slots = file.values<Slot>("order");
  std::vector<Ranked> rows;
  rows.reserve(slots.size());
  for (std::size_t rank = 0; rank < slots.size(); ++rank) {
    const Slot slot = slots[rank];
    verdict.require(slot < record.slots, "order", rank, "slots below " + std::to_string(record.slots), slot);
    const Ranked row{layers.key(slot), slot};
    verdict.require(rank == 0 || rows.back() < row, "order", rank, "rows that rise by key and slot", slot);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

std::uint64_t RangeGraph::save(const std::string& path, Bytes identity) {
  const std::lock_guard lock(writer_);
  const std::size_t slots = linked_.size();
  std::vector<Slot> ranked;
  const Order now = order_->merged({}, layers_->keys.data());
  now.for_each({0, now.size()}, [&](const Ranked& row) {
    if (linked_[row.slot] != 0) ranked.push_back(row.slot);
    return true;
  });
  const Record record{static_cast<std::uint32_t>(params_.M),
                      static_cast<std::uint32_t>(params_.ef_construction),
                      static_cast<std::uint32_t>(params_.dim),
                      static_cast<std::uint32_t>(params_.metric),
                      static_cast<std::uint32_t>(layers_->count()),
                      0,
                      params_.seed,
                      covered(),
                      slots,
                      ranked.size()};
  std::vector<std::string> tags;
  for (std::size_t layer = 0; layer < layers_->count(); ++layer) tags.push_back(layer_tag(layer));
  std::vector<Section> sections{
      Section{"params", bytes_of(std::span<const Record>(&record, 1))},
      Section{"keys", bytes_of(std::span<const std::int64_t>(layers_->keys.data(), slots))},
      Section{"order", bytes_of(std::span<const Slot>(ranked))},
  };
  for (std::size_t layer = 0; layer < layers_->count(); ++layer) {
    const std::span<const Slot> edges(layers_->tables[layer].data(), slots * params_.M);
    sections.push_back({tags[layer], bytes_of(edges)});
  }
  return write_container(path, identity, sections);
}

std::unique_ptr<RangeGraph> RangeGraph::load(const std::string& path) {
  const Container file = Container::read(path);
  const Verdict verdict(path);
  const Record record = read_record(file, verdict);
  std::unique_ptr<RangeGraph> graph;
  try {
    graph = std::make_unique<RangeGraph>(
        RangeParams{record.dim, static_cast<Metric>(record.metric), record.M, record.ef_construction, record.seed});
  } catch (const InvalidArgument& reason) {
    throw Corrupted({path, "params", 0, "parameters in range", reason.what()});
  }
  graph->identity_.assign(file.identity().begin(), file.identity().end());
  graph->layers_ = read_layers(file, record, verdict);
  std::vector<Ranked> rows = read_order(file, record, *graph->layers_, verdict);
  graph->linked_.assign(record.slots, 0);
  for (const Ranked& row : rows) graph->linked_[row.slot] = 1;
  graph->order_ = std::make_shared<const Order>(std::move(rows));
  graph->nodes_.store(record.nodes, std::memory_order_relaxed);
  graph->covered_.store(record.covered, std::memory_order_release);
  graph->check(path);
  return graph;
}

}  // namespace vdb
