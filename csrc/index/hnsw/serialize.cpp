#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

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

// The "acorn" section.
struct AcornRecord {
  std::uint32_t gamma;
  std::uint32_t m_beta;
};
static_assert(sizeof(AcornRecord) == 8);

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

Record read_record(const Container& file, const Verdict& verdict) {
  const Bytes bytes = file.section("params");
  verdict.require(bytes.size() == sizeof(Record), "params", 0, std::to_string(sizeof(Record)) + " bytes", bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  verdict.require(record.metric <= static_cast<std::uint32_t>(Metric::kCustom), "params", 12, "a metric",
                  record.metric);
  verdict.require(record.M >= 2 && record.M <= 1024, "params", 0, "M from 2 to 1024", record.M);
  verdict.require(record.covered <= kMaxSlots, "params", 32, "at most 2147483647 slots", record.covered);
  verdict.require(record.nodes <= record.covered, "params", 40, "at most the covered slots", record.nodes);
  return record;
}

// Of the sections that only some graphs have.
void read_acorn(const Container& file, HnswParams& params, const Verdict& verdict) {
  if (!file.has("acorn")) return;
  const Bytes bytes = file.section("acorn");
  verdict.require(bytes.size() == sizeof(AcornRecord), "acorn", 0, std::to_string(sizeof(AcornRecord)) + " bytes",
                  bytes.size());
  AcornRecord record;
  std::memcpy(&record, bytes.data(), sizeof record);
  verdict.require(record.gamma >= 1, "acorn", 0, "gamma of at least 1", record.gamma);
  params.gamma = record.gamma;
  params.m_beta = record.m_beta;
}

// The "packed" section: blocks are made anew, of this version.
constexpr std::uint32_t kPackedVersion = 1;

bool read_packed(const Container& file, const Verdict& verdict) {
  if (!file.has("packed")) return false;
  const Bytes bytes = file.section("packed");
  std::uint32_t version = 0;
  verdict.require(bytes.size() == sizeof version, "packed", 0, "4 bytes", bytes.size());
  std::memcpy(&version, bytes.data(), sizeof version);
  verdict.require(version == kPackedVersion, "packed", 0, "version 1", version);
  return true;
}

// What the levels of all slots come to.
struct Census {
  std::uint64_t nodes = 0;
  std::uint64_t upper_rows = 0;
};

Census count_levels(Bytes levels, std::size_t highest, const Verdict& verdict) {
  Census census;
  for (std::size_t slot = 0; slot < levels.size(); ++slot) {
    const unsigned char level = levels[slot];
    if (level == kNoLevel) continue;
    if (level > highest) verdict.require(false, "levels", slot, "a level up to " + std::to_string(highest), level);
    ++census.nodes;
    census.upper_rows += level;
  }
  return census;
}

// The arrays of the file, of the right lengths; what the edges say is not checked yet.
std::shared_ptr<Layers> read_layers(const Container& file, const Record& record, const Census& census,
                                    const EdgeWidths& widths, const Verdict& verdict) {
  const std::size_t base = file.section("base").size();
  const std::size_t upper = file.section("upper").size();
  const std::uint64_t base_bytes = record.covered * widths.base * sizeof(Slot);
  const std::uint64_t upper_bytes = census.upper_rows * widths.upper * sizeof(Slot);
  verdict.require(base == base_bytes, "base", 0, std::to_string(base_bytes) + " bytes", base);
  verdict.require(upper == upper_bytes, "upper", 0, std::to_string(upper_bytes) + " bytes", upper);
  verdict.require(census.upper_rows <= 0xffffffffU, "upper", 0, "at most 4294967295 rows", census.upper_rows);
  verdict.require(census.nodes == record.nodes, "levels", 0, std::to_string(record.nodes) + " nodes", census.nodes);
  return std::make_shared<Layers>(file.values<Slot>("base"), file.values<Slot>("upper"),
                                  file.values<std::uint8_t>("levels"), widths);
}

}  // namespace

std::uint64_t Hnsw::save(const std::string& path, Bytes identity, std::span<const Section> more) {
  const std::lock_guard lock(writer_);
  Entry entry{0, 0};
  find_entry(kMaxSlots, entry);
  const std::size_t slots = covered();
  const std::vector<Slot> upper = layers_->upper_in_slot_order(slots);
  const Record record{static_cast<std::uint32_t>(params_.M),
                      static_cast<std::uint32_t>(params_.ef_construction),
                      static_cast<std::uint32_t>(params_.dim),
                      static_cast<std::uint32_t>(params_.metric),
                      static_cast<std::uint32_t>(entry.level),
                      entry.slot,
                      params_.seed,
                      slots,
                      nodes()};
  std::vector<Section> sections{
      Section{"params", bytes_of(std::span<const Record>(&record, 1))},
      Section{"levels", bytes_of(std::span<const std::uint8_t>(layers_->levels.data(), slots))},
      Section{"base", bytes_of(std::span<const Slot>(layers_->base.data(), slots * layers_->widths.base))},
      Section{"upper", bytes_of(std::span<const Slot>(upper))},
  };
  const AcornRecord acorn{static_cast<std::uint32_t>(params_.gamma), static_cast<std::uint32_t>(params_.m_beta)};
  if (params_.gamma != 0) sections.push_back({"acorn", bytes_of(std::span<const AcornRecord>(&acorn, 1))});
  if (params_.packed) sections.push_back({"packed", bytes_of(std::span<const std::uint32_t>(&kPackedVersion, 1))});
  CodeStore::Image codes;
  if (codes_) {
    codes = codes_->image();
    const auto of_codes = codes.sections();
    sections.insert(sections.end(), of_codes.begin(), of_codes.end());
  }
  sections.insert(sections.end(), more.begin(), more.end());
  return write_container(path, identity, sections);
}

std::unique_ptr<Hnsw> Hnsw::restore(const Container& file) {
  const std::string& path = file.path();
  const Verdict verdict(path);
  const Record record = read_record(file, verdict);
  const std::size_t slots = record.covered;
  const Bytes levels = file.section("levels");
  verdict.require(levels.size() == slots, "levels", 0, std::to_string(slots) + " bytes", levels.size());
  const Census census = count_levels(levels, kMaxLevel, verdict);
  HnswParams params{record.dim, static_cast<Metric>(record.metric), record.M, record.ef_construction, record.seed};
  read_acorn(file, params, verdict);
  std::unique_ptr<CodeStore> codes;
  if (file.has("codes")) {
    codes = CodeStore::restore(file);
    const CodeParams& of = codes->params();
    verdict.require(of.dim == params.dim, "codes", 4, std::to_string(params.dim) + " dimensions", of.dim);
    verdict.require(of.metric == params.metric, "codes", 8, "the metric of the graph",
                    static_cast<std::uint64_t>(of.metric));
    verdict.require(codes->covered() >= slots, "codes", 40, std::to_string(slots) + " slots or more", codes->covered());
    params.codes = of.kind;
    params.code_bits = of.bits;
    params.packed = read_packed(file, verdict);
  }
  std::unique_ptr<Hnsw> graph;
  try {
    graph = std::make_unique<Hnsw>(params);
  } catch (const InvalidArgument& reason) {
    throw Corrupted({path, "params", 0, "parameters in range", reason.what()});
  }
  if (codes) graph->codes_ = std::move(codes);
  graph->identity_.assign(file.identity().begin(), file.identity().end());
  graph->changed_.assign(slots, 1);  // blocks are made anew
  graph->layers_ = read_layers(file, record, census, graph->layers_->widths, verdict);
  graph->used_upper_rows_ = census.upper_rows;
  graph->nodes_.store(census.nodes, std::memory_order_relaxed);
  graph->covered_.store(slots, std::memory_order_release);
  graph->restore_entries();
  verdict.require(graph->max_level() == record.max_level, "params", 16, std::to_string(graph->max_level()),
                  record.max_level);
  Entry entry{0, 0};
  graph->find_entry(kMaxSlots, entry);
  verdict.require(entry.slot == record.entry, "params", 20, "entry point " + std::to_string(entry.slot), record.entry);
  graph->check(path);
  return graph;
}

}  // namespace vdb
