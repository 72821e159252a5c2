#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/check.h"
#include "index/hnsw/hnsw.h"

namespace vdb {
namespace {

// The "params" section, as FORMAT.md lists it.
struct Record {
  std::uint32_t M;
  std::uint32_t ef_construction;
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint32_t max_level;
  std::uint32_t entry;
  std::uint64_t seed;
  std::uint64_t covered;
  std::uint64_t nodes;
};
static_assert(sizeof(Record) == 48);

// What a loader says about a section that passed its checksum and still makes no sense.
class Verdict {
 public:
  explicit Verdict(const std::string& path) : path_(path) {}

  void require(bool holds, const char* section, std::uint64_t at, const std::string& expected,
               std::uint64_t found) const {
    if (!holds) throw Corrupted({path_, section, at, expected, std::to_string(found)});
  }

 private:
  const std::string& path_;
};

template <class T>
void copy_section(Bytes bytes, AlignedBuffer<T>& into) {
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<unsigned char*>(into.data()));
}

Record read_record(const Container& file, const Verdict& verdict) {
  const Bytes bytes = file.section("params");
  verdict.require(bytes.size() == sizeof(Record), "params", 0, std::to_string(sizeof(Record)) + " bytes", bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  verdict.require(record.metric <= static_cast<std::uint32_t>(Metric::kInnerProduct), "params", 12, "a metric",
                  record.metric);
  verdict.require(record.M >= 2 && record.M <= 1024, "params", 0, "M from 2 to 1024", record.M);
  verdict.require(record.covered <= kMaxSlots, "params", 32, "at most 2147483647 slots", record.covered);
  verdict.require(record.nodes <= record.covered, "params", 40, "at most the covered slots", record.nodes);
  return record;
}

}  // namespace

std::uint64_t Hnsw::save(const std::string& path, Bytes identity) {
  const std::lock_guard lock(writer_);
  Entry entry{0, 0};
  find_entry(kMaxSlots, entry);
  const std::size_t slots = covered();
  const Record record{static_cast<std::uint32_t>(params_.M),
                      static_cast<std::uint32_t>(params_.ef_construction),
                      static_cast<std::uint32_t>(params_.dim),
                      static_cast<std::uint32_t>(params_.metric),
                      static_cast<std::uint32_t>(entry.level),
                      entry.slot,
                      params_.seed,
                      slots,
                      nodes()};
  const std::array<Section, 4> sections{
      Section{"params", bytes_of(std::span<const Record>(&record, 1))},
      Section{"levels", bytes_of(std::span<const std::uint8_t>(layers_->levels.data(), slots))},
      Section{"base", bytes_of(std::span<const Slot>(layers_->base.data(), slots * 2 * params_.M))},
      Section{"upper", bytes_of(std::span<const Slot>(layers_->upper.data(), used_upper_rows_ * params_.M))},
  };
  return write_container(path, identity, sections);
}

std::unique_ptr<Hnsw> Hnsw::load(const std::string& path) {
  const Container file = Container::read(path);
  const Verdict verdict(path);
  const Record record = read_record(file, verdict);
  const std::size_t slots = record.covered;
  const Bytes levels = file.section("levels");
  const Bytes base = file.section("base");
  const Bytes upper = file.section("upper");
  verdict.require(levels.size() == slots, "levels", 0, std::to_string(slots) + " bytes", levels.size());
  const std::uint64_t base_bytes = std::uint64_t{slots} * 2 * record.M * sizeof(Slot);
  verdict.require(base.size() == base_bytes, "base", 0, std::to_string(base_bytes) + " bytes", base.size());
  std::uint64_t upper_rows = 0;
  for (const unsigned char level : levels) {
    verdict.require(level == kNoLevel || level <= kMaxLevel, "levels", upper_rows, "a level up to 30", level);
    if (level != kNoLevel) upper_rows += level;
  }
  const std::uint64_t upper_bytes = upper_rows * record.M * sizeof(Slot);
  verdict.require(upper.size() == upper_bytes, "upper", 0, std::to_string(upper_bytes) + " bytes", upper.size());
  verdict.require(upper_rows <= 0xffffffffU, "upper", 0, "at most 4294967295 rows", upper_rows);

  const HnswParams params{record.dim, static_cast<Metric>(record.metric), record.M, record.ef_construction,
                          record.seed};
  std::unique_ptr<Hnsw> graph;
  try {
    graph = std::make_unique<Hnsw>(params);
  } catch (const InvalidArgument& reason) {
    throw Corrupted({path, "params", 0, "parameters in range", reason.what()});
  }
  graph->identity_.assign(file.identity().begin(), file.identity().end());
  graph->layers_ = std::make_shared<Layers>(slots, upper_rows, record.M);
  Layers& layers = *graph->layers_;
  copy_section(levels, layers.levels);
  copy_section(base, layers.base);
  copy_section(upper, layers.upper);
  for (std::size_t slot = 0; slot < slots; ++slot) {
    layers.upper_begin[slot] = static_cast<std::uint32_t>(graph->used_upper_rows_);
    if (layers.levels[slot] == kNoLevel) continue;
    graph->used_upper_rows_ += layers.levels[slot];
    graph->nodes_.fetch_add(1, std::memory_order_relaxed);
  }
  verdict.require(graph->nodes() == record.nodes, "levels", 0, std::to_string(record.nodes) + " nodes", graph->nodes());
  graph->covered_.store(slots, std::memory_order_release);
  // Levels are a function of the seed, so the history of entry points is too: each first node above all before it.
  std::size_t next_level = 0;
  for (std::size_t slot = 0; slot < slots; ++slot) {
    if (layers.levels[slot] == kNoLevel || layers.levels[slot] < next_level) continue;
    graph->add_entry({static_cast<Slot>(slot), layers.levels[slot]});
    next_level = std::size_t{layers.levels[slot]} + 1;
  }
  verdict.require(graph->max_level() == record.max_level, "params", 16, std::to_string(graph->max_level()),
                  record.max_level);
  Entry entry{0, 0};
  graph->find_entry(kMaxSlots, entry);
  verdict.require(entry.slot == record.entry, "params", 20, "entry point " + std::to_string(entry.slot), record.entry);
  graph->check(path);
  return graph;
}

void Hnsw::check(const std::string& path) {
  const std::lock_guard lock(writer_);
  const Verdict verdict(path);
  const std::size_t slots = covered();
  for (std::size_t slot = 0; slot < slots; ++slot) {
    if (layers_->levels[slot] == kNoLevel) continue;
    for (std::size_t level = 0; level <= layers_->levels[slot]; ++level) {
      const Adjacency edges = layers_->edges(level, params_.M);
      std::size_t degree = 0;
      edges.for_each(static_cast<Slot>(slot), [&](Slot neighbor) {
        const char* section = level == 0 ? "base" : "upper";
        verdict.require(neighbor < slots, section, slot, "neighbours below " + std::to_string(slots), neighbor);
        const bool there = layers_->levels[neighbor] != kNoLevel && layers_->levels[neighbor] >= level;
        verdict.require(there, section, slot, "neighbours on level " + std::to_string(level), neighbor);
        verdict.require(neighbor != slot, section, slot, "no edge to itself", neighbor);
        ++degree;
      });
      verdict.require(edges.absent_from(static_cast<Slot>(slot), degree), level == 0 ? "base" : "upper", slot,
                      "nothing behind the last neighbour", degree);
    }
  }
}

}  // namespace vdb
