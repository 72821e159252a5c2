#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/half.h"
#include "index/ivf/ivf.h"
#include "index/ivf/scratch.h"
#include "io/require.h"

namespace vdb {
namespace {

// The "params" section, as FORMAT.md lists it.
struct Record {
  std::uint32_t codes;
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint32_t nlist;
  std::uint32_t m;
  std::uint32_t nbits;
  std::uint32_t opq;
  std::uint32_t bits;
  std::uint64_t seed;
  std::uint64_t covered;
  std::uint64_t rows;
  std::uint64_t trained_on;
  std::uint64_t new_rows;
  double spread;
  double new_spread;
};
static_assert(sizeof(Record) == 88);

// A list of the "lists" section.
struct ListSize {
  std::uint32_t rows;
  std::uint32_t quota;
};
static_assert(sizeof(ListSize) == 8);

template <class T>
std::uint32_t narrow(T value) noexcept {
  return static_cast<std::uint32_t>(value);
}

Record read_record(const Container& file) {
  const Bytes bytes = file.section("params");
  require(bytes.size() == sizeof(Record), file, "params", std::to_string(sizeof(Record)) + " bytes", bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  require(record.codes <= narrow(IvfCodes::kRabitq), file, "params", "codes of 0 or 1", record.codes);
  require(record.metric <= narrow(Metric::kInnerProduct), file, "params", "a metric from 0 to 2", record.metric);
  require(record.opq <= 1, file, "params", "opq of 0 or 1", record.opq);
  require(record.covered <= kMaxSlots, file, "params", "at most 2147483647 slots", record.covered);
  require(record.rows <= record.covered, file, "params", "no more rows than slots", record.rows);
  require(record.trained_on <= kMaxSlots && record.new_rows <= kMaxSlots, file, "params", "at most 2147483647 rows",
          std::max(record.trained_on, record.new_rows));
  const bool sums =
      std::isfinite(record.spread) && std::isfinite(record.new_spread) && record.spread >= 0 && record.new_spread >= 0;
  require(sums, file, "params", "finite sums of squares", 0);
  return record;
}

ListCodec read_codec(const Container& file, const IvfParams& params) {
  const Bytes bytes = file.section("codec");
  ListCodec codec = params.codes == IvfCodes::kRabitq ? ListCodec(ResidualSigns::deserialize(bytes))
                                                      : ListCodec(ResidualProduct::deserialize(bytes));
  const auto [dim, l2] =
      std::visit([](const auto& concrete) { return std::pair(concrete.dim(), concrete.l2()); }, codec);
  require(dim == params.dim, file, "codec", std::to_string(params.dim) + " dimensions", dim);
  require(l2 == (params.metric == Metric::kL2), file, "codec", "the metric of the index", l2 ? 1 : 0);
  if (const auto* signs = std::get_if<ResidualSigns>(&codec)) {
    require(signs->params().bits == params.bits, file, "codec", std::to_string(params.bits) + " bits",
            signs->params().bits);
    require(signs->params().seed == params.seed, file, "codec", "the seed of the index", signs->params().seed);
  } else {
    const ProductShape& shape = std::get<ResidualProduct>(codec).shape();
    require(shape.nbits == params.nbits, file, "codec", std::to_string(params.nbits) + " bits", shape.nbits);
  }
  return codec;
}

// Of files that were written before there was such a section it is not known.
float read_length(const Container& file) {
  if (!file.has("length")) return 0;
  const Bytes bytes = file.section("length");
  float length = 0;
  require(bytes.size() == sizeof length, file, "length", std::to_string(sizeof length) + " bytes", bytes.size());
  std::memcpy(&length, bytes.data(), sizeof length);
  require(std::isfinite(length) && length >= 0, file, "length", "a finite length", 0);
  return length;
}

// Of centroids, as Directory keeps them.
std::vector<std::uint16_t> read_offsets(const Container& file, std::size_t dim) {
  const Bytes bytes = file.section("centroid");
  const std::size_t row = dim * sizeof(std::uint16_t);
  require(bytes.size() % row == 0 && !bytes.empty() && bytes.size() / row <= kMaxSlots, file, "centroid",
          "rows of " + std::to_string(row) + " bytes", bytes.size());
  std::vector<std::uint16_t> values(bytes.size() / sizeof(std::uint16_t));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  const bool finite = std::all_of(values.begin(), values.end(),
                                  [](std::uint16_t value) { return std::isfinite(from_bfloat16(value)); });
  require(finite, file, "centroid", "finite values", 0);
  return values;
}

// Lists where they stand in the file, which they keep mapped.
std::vector<std::shared_ptr<const List>> read_lists(const Container& file, const ListShape& shape, std::size_t n) {
  const Bytes bytes = file.section("lists");
  require(bytes.size() == n * sizeof(ListSize), file, "lists", std::to_string(n) + " records of 8 bytes", bytes.size());
  const auto blocks = std::make_shared<AlignedBuffer<std::uint8_t>>(file.values<std::uint8_t>("blocks"));
  const auto extra = std::make_shared<AlignedBuffer<std::uint8_t>>(file.values<std::uint8_t>("extra"));
  const auto slots = std::make_shared<AlignedBuffer<Slot>>(file.values<Slot>("slots"));
  std::vector<std::shared_ptr<const List>> lists;
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ListSize record;
    std::memcpy(&record, bytes.data() + i * sizeof record, sizeof record);
    const std::uint64_t held = ListShape::blocks(record.rows);
    const std::uint64_t end = at + held;
    const bool fits = end * shape.block_bytes() <= blocks->size() && end * shape.extra_block_bytes() <= extra->size() &&
                      end * ListShape::kRows <= slots->size();
    require(fits, file, "lists", "no more rows than there are blocks for", record.rows);
    List list;
    list.blocks = {blocks->data() + at * shape.block_bytes(), held * shape.block_bytes(), blocks};
    list.extra = {extra->data() + at * shape.extra_block_bytes(), held * shape.extra_block_bytes(), extra};
    list.slots = {slots->data() + at * ListShape::kRows, held * ListShape::kRows, slots};
    list.rows = record.rows;
    list.quota = record.quota;
    lists.push_back(std::make_shared<const List>(std::move(list)));
    at = end;
  }
  require(at * shape.block_bytes() == blocks->size(), file, "blocks", "the blocks of all lists", blocks->size());
  require(at * shape.extra_block_bytes() == extra->size(), file, "extra", "the bits of all lists", extra->size());
  const std::size_t slot_bytes = file.section("slots").size();
  require(at * ListShape::kRows * sizeof(Slot) == slot_bytes, file, "slots", "the slots of all lists", slot_bytes);
  return lists;
}

}  // namespace

std::uint64_t Ivf::save(const std::string& path, Bytes identity) const {
  const auto now = state();
  const Record record{narrow(params_.codes),
                      narrow(params_.dim),
                      narrow(params_.metric),
                      narrow(params_.nlist),
                      narrow(params_.m),
                      narrow(params_.nbits),
                      params_.opq ? 1U : 0U,
                      narrow(params_.bits),
                      params_.seed,
                      now->covered,
                      now->rows,
                      now->model ? now->model->trained_on : 0,
                      now->new_rows,
                      now->spread,
                      now->new_spread};
  std::vector<Section> sections{Section{"params", bytes_of(std::span<const Record>(&record, 1))}};
  if (!now->model) return write_container(path, identity, sections);
  const ListShape& shape = now->model->shape;
  const std::vector<unsigned char> codec =
      std::visit([](const auto& concrete) { return concrete.serialize(); }, now->model->codec);
  std::vector<ListSize> lists;
  std::vector<Bytes> blocks;
  std::vector<Bytes> extra;
  std::vector<Bytes> slots;
  for (const auto& list : now->lists) {
    const std::size_t n = ListShape::blocks(list->rows);
    lists.push_back({narrow(list->rows), narrow(std::min<std::size_t>(list->quota, kMaxSlots))});
    blocks.push_back({list->blocks.data(), n * shape.block_bytes()});
    extra.push_back({list->extra.data(), n * shape.extra_block_bytes()});
    slots.push_back(bytes_of(list->slots.span().first(n * ListShape::kRows)));
  }
  sections.push_back({"codec", codec});
  sections.push_back({"length", bytes_of(std::span<const float>(&now->model->row_length, 1))});
  sections.push_back({"centroid", bytes_of(std::span(now->directory->offsets()))});
  sections.push_back({"lists", bytes_of(std::span<const ListSize>(lists))});
  sections.push_back({"blocks", {}, blocks});
  sections.push_back({"extra", {}, extra});
  sections.push_back({"slots", {}, slots});
  return write_container(path, identity, sections);
}

std::unique_ptr<Ivf> Ivf::load(const std::string& path) {
  const Container file = Container::read(path);
  const Record record = read_record(file);
  std::unique_ptr<Ivf> index;
  IvfState state;
  try {
    index = std::make_unique<Ivf>(IvfParams{record.dim, static_cast<Metric>(record.metric),
                                            static_cast<IvfCodes>(record.codes), record.nlist, record.m, record.nbits,
                                            record.opq != 0, record.bits, record.seed});
    if (record.trained_on != 0) {
      state.model =
          std::make_shared<const IvfModel>(read_codec(file, index->params_), record.trained_on, read_length(file));
    }
  } catch (const InvalidArgument& reason) {
    throw Corrupted({path, "params", 0, "an index and its codec", reason.what()});
  }
  require(state.model || (record.covered == 0 && record.rows == 0), file, "params", "a training", record.covered);
  if (state.model) {
    const IvfParams& params = index->params_;
    state.directory = std::make_shared<const Directory>(params.metric, read_offsets(file, params.dim),
                                                        state.model->mean(), params.seed, state.model->row_length > 0);
    state.lists = read_lists(file, state.model->shape, state.directory->size());
    state.scratches = std::make_shared<ListScratches>();
  }
  state.covered = record.covered;
  state.rows = record.rows;
  state.new_rows = record.new_rows;
  state.spread = record.spread;
  state.new_spread = record.new_spread;
  index->identity_.assign(file.identity().begin(), file.identity().end());
  index->state_ = std::make_shared<const IvfState>(std::move(state));
  index->check(path);
  return index;
}

}  // namespace vdb
