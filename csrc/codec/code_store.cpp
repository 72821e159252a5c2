#include "codec/code_store.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/prefetch.h"
#include "base/thread_pool.h"
#include "codec/training_rows.h"
#include "core/dimensions.h"

namespace vdb {
namespace {

// Encoded per turn of a thread: a chunk of vectors stays in the second-level cache.
constexpr std::size_t kChunkBytes = std::size_t{1} << 19;
constexpr std::size_t kMinChunkRows = 16;
constexpr std::size_t kMaxChunkRows = 256;
// A sample large enough for every codebook (256 centroids want some 100 rows each) that stays a small part of memory:
// of the widest vectors it has 512 rows.
constexpr std::size_t kMaxSampleRows = 32'768;
constexpr std::size_t kSampleBytes = std::size_t{128} << 20;
// A codec that saw less than a full sample is trained again once there are this many times the rows.
constexpr std::size_t kRetrainGrowth = 4;

std::size_t sample_size(std::size_t dim) { return std::min(kSampleBytes / (dim * sizeof(float)), kMaxSampleRows); }

constexpr char kSecondPieces[] = "rest";

// The "codes" section, as io/FORMAT.md lists it.
struct Record {
  std::uint32_t kind;
  std::uint32_t dim;
  std::uint32_t metric;
  std::uint32_t stride;
  std::uint32_t bits;
  std::uint32_t m;
  std::uint32_t opq;
  std::uint32_t aligned;
  std::uint64_t seed;
  std::uint64_t covered;
  std::uint64_t trained_on;
};
static_assert(sizeof(Record) == 56);

InvalidArgument unknown_kind(CodecKind kind) {
  return InvalidArgument("unknown kind of codes " + std::to_string(static_cast<std::uint32_t>(kind)));
}

Codec read_codec(CodecKind kind, Bytes bytes) {
  switch (kind) {
    case CodecKind::kSq8: return ScalarQuantizer::deserialize(bytes);
    case CodecKind::kRabitq: return Rabitq::deserialize(bytes);
    case CodecKind::kPq: return ProductQuantizer::deserialize(bytes);
    case CodecKind::kProjection: return Projection::deserialize(bytes);
  }
  throw unknown_kind(kind);
}

// Records of less than a cache line never lie across two, longer ones begin with one.
std::size_t stride_of(std::size_t record_bytes, const CodeParams& params) {
  if (!params.aligned) return record_bytes;
  if (record_bytes <= kCacheLineBytes) return std::bit_ceil(record_bytes);
  return lines_of(record_bytes) * kCacheLineBytes;
}

// Sets how the records of the codec are laid out.
void lay_out(const Codec& codec, const CodeParams& params, CodeStore::Snapshot& into) {
  const auto* const rabitq = std::get_if<Rabitq>(&codec);
  const std::size_t whole = std::visit([](const auto& concrete) { return concrete.record_bytes(); }, codec);
  const bool halves = params.aligned && rabitq != nullptr && rabitq->halves();
  into.pieces = halves ? 2 : 1;
  into.stride = stride_of(halves ? rabitq->sign_record_bytes() : whole, params);
}

using Records = AlignedBuffer<std::uint8_t>;

// Slots that there is room for.
std::size_t capacity_of(const CodeStore::Snapshot& codes) {
  if (!codes.buffer) return 0;
  const std::size_t bytes = codes.buffer->size();
  return (codes.pieces == 1 ? bytes : std::min(codes.plane, bytes - codes.plane)) / codes.stride;
}

// Room for so many slots in `into`, all zero: first pieces, and behind all of them the second ones.
std::shared_ptr<Records> make_room(CodeStore::Snapshot& into, std::size_t slots) {
  auto buffer = std::make_shared<Records>(slots * into.row_bytes(), std::uint8_t{0});
  into.plane = into.pieces == 1 ? 0 : slots * into.stride;
  into.buffer = buffer;
  return buffer;
}

// The pieces of one record of `from` as those of another of `into`.
void copy_record(const CodeStore::Snapshot& from, std::size_t slot, const CodeStore::Snapshot& into, Records& buffer,
                 std::size_t to) {
  for (std::size_t p = 0; p < from.pieces; ++p) {
    const std::uint8_t* const piece = from.buffer->data() + p * from.plane + slot * from.stride;
    std::copy_n(piece, from.stride, buffer.data() + p * into.plane + to * into.stride);
  }
}

// Whether float32 products of stored vectors with this 1/length keep what the angle says.
bool has_clear_direction(float inverse) {
  constexpr float kLeast = 0x1p-40F;
  constexpr float kGreatest = 0x1p40F;
  return inverse >= kLeast && inverse <= kGreatest;
}

// Rows and queries have length 1 under cosine, so codes need not know it.
Metric code_metric(Metric metric) { return metric == Metric::kL2 ? Metric::kL2 : Metric::kInnerProduct; }

void require(const Container& file, const char* section, bool holds, std::uint64_t expected, std::uint64_t found) {
  if (!holds) throw Corrupted({file.path(), section, 0, std::to_string(expected), std::to_string(found)});
}

Record read_record(const Container& file) {
  constexpr auto kLastKind = static_cast<std::uint32_t>(CodecKind::kProjection);
  constexpr auto kLastMetric = static_cast<std::uint32_t>(Metric::kInnerProduct);
  const Bytes bytes = file.section("codes");
  const auto check = [&](bool holds, std::uint64_t expected, std::uint64_t found) {
    require(file, "codes", holds, expected, found);
  };
  check(bytes.size() == sizeof(Record), sizeof(Record), bytes.size());
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  if (record.kind > kLastKind) {
    throw Corrupted({file.path(), "codes", 0, "a kind", unknown_kind(static_cast<CodecKind>(record.kind)).what()});
  }
  check(record.metric <= kLastMetric, kLastMetric, record.metric);
  check(record.opq <= 1, 1, record.opq);
  check(record.aligned <= 1, 1, record.aligned);
  check(record.covered <= kMaxSlots, kMaxSlots, record.covered);
  const bool possible = record.covered == 0 ? record.trained_on == 0 : record.trained_on >= 1;
  check(possible && record.trained_on <= record.covered, record.covered, record.trained_on);
  return record;
}

// The bytes of a record of `codec`, which must be the codec of such vectors and parameters: it may be trained anew.
template <class Concrete>
std::size_t checked_bytes(const Container& file, const Record& record, const Concrete& codec) {
  const auto metric = static_cast<std::uint32_t>(code_metric(static_cast<Metric>(record.metric)));
  const auto found = static_cast<std::uint32_t>(codec.metric());
  require(file, "codec", codec.dim() == record.dim, record.dim, codec.dim());
  require(file, "codec", found == metric, metric, found);
  if constexpr (std::is_same_v<Concrete, Rabitq>) {
    require(file, "codec", codec.bits() == record.bits, record.bits, codec.bits());
  } else if constexpr (std::is_same_v<Concrete, ProductQuantizer>) {
    require(file, "codec", codec.shape().nbits == record.bits, record.bits, codec.shape().nbits);
    require(file, "codec", codec.shape().m == record.m, record.m, codec.shape().m);
  }
  return codec.record_bytes();
}

void require_section(const Container& file, const char* tag, std::uint64_t bytes) {
  const std::uint64_t found = file.section(tag).size();
  require(file, tag, found == bytes, bytes, found);
}

// The records where they stand in the file.
void read_pieces(const Container& file, const Record& record, CodeStore::Snapshot& into) {
  require(file, "codes", into.stride == record.stride, into.stride, record.stride);
  const char* const last = into.pieces == 1 ? "records" : kSecondPieces;
  require_section(file, "records", into.covered * into.stride);
  require_section(file, last, into.covered * into.stride);
  into.buffer = std::make_shared<Records>(file.stretch("records", last));
  into.plane = into.buffer->size() - into.covered * into.stride;
}

// Records in one piece, as they were written before there were two, cut.
void read_whole(const Container& file, const Record& record, std::size_t stride, CodeStore::Snapshot& into) {
  require(file, "codes", stride == record.stride, stride, record.stride);
  require_section(file, "records", into.covered * stride);
  const Bytes records = file.section("records");
  const auto& codec = std::get<Rabitq>(*into.codec);
  const std::size_t signs = codec.sign_record_bytes();
  const auto buffer = make_room(into, into.covered);
  for (std::size_t slot = 0; slot < into.covered; ++slot) {
    const unsigned char* const from = records.data() + slot * stride;
    std::uint8_t* const to = buffer->data() + slot * into.stride;
    std::copy_n(from, signs, to);
    std::copy_n(from + signs, codec.record_bytes() - signs, to + into.plane);
  }
}

Codec train_codec(const CodeParams& params, const TrainingRows& sample, std::size_t threads, CancelToken* cancel) {
  const Metric metric = code_metric(params.metric);
  switch (params.kind) {
    case CodecKind::kSq8: return ScalarQuantizer::train(sample, {metric}, cancel);
    case CodecKind::kRabitq: {
      RabitqParams rabitq;
      rabitq.metric = metric;
      rabitq.bits = params.bits;
      rabitq.seed = params.seed;
      rabitq.threads = threads;
      return Rabitq::train(sample, rabitq, cancel);
    }
    case CodecKind::kPq: {
      ProductQuantizerParams pq{.metric = metric, .m = params.m};
      pq.nbits = params.bits;
      pq.opq = params.opq;
      pq.seed = params.seed;
      pq.threads = threads;
      return ProductQuantizer::train(sample, pq, cancel);
    }
    case CodecKind::kProjection: {
      VDB_CHECK(params.find_basis, "projection needs a function that finds the basis");
      const Basis basis = params.find_basis(sample);
      VDB_CHECK(basis.directions.size() == basis.width * sample.dim, "the basis must be (width, dim)");
      return Projection::from_basis(basis.directions.data(), basis.width, sample.dim, {metric, basis.lossless});
    }
  }
  throw unknown_kind(params.kind);
}

}  // namespace

struct CodeStore::Work {
  const VectorView& view;
  const CodeExtend& options;
};

void to_code_space(const VectorView& view, Slot slot, float inverse, float* out) noexcept {
  read_row(view, slot, out);
  if (view.metric != Metric::kCosine) return;
  if (!has_clear_direction(inverse)) {
    std::fill_n(out, view.dim, std::numeric_limits<float>::quiet_NaN());
    return;
  }
  for (std::size_t d = 0; d < view.dim; ++d) out[d] = static_cast<float>(double{out[d]} * double{inverse});
}

CodeStore::CodeStore(const CodeParams& params) : params_(params) {
  VDB_CHECK(params.dim >= 1 && params.dim <= kMaxDim,
            "a vector has 1 to " + std::to_string(kMaxDim) + " dimensions, got " + std::to_string(params.dim));
  const bool paddable = params.kind == CodecKind::kSq8 || params.kind == CodecKind::kRabitq;
  VDB_CHECK(paddable || !params.aligned, "only sq8 and rabitq have records that can be aligned");
  VDB_CHECK(params.metric != Metric::kCustom, "codes estimate l2, cosine and ip, not a metric of the caller's");
}

void CodeStore::extend(const VectorView& view, const CodeExtend& options) {
  VDB_CHECK(view.dim == params_.dim && view.metric == params_.metric, "the codes are of other vectors");
  VDB_CHECK(options.rows == nullptr || options.rows->size() == view.n, "the row set does not cover the vectors");
  VDB_CHECK(view.n <= kMaxSlots, "codes cover at most 2147483647 slots, got " + std::to_string(view.n));
  const std::lock_guard lock(writer_);
  Snapshot next = snapshot();
  if (view.n <= next.covered) return;
  const Work work{view, options};
  const std::size_t sample = sample_size(view.dim);
  const std::size_t rows = options.rows != nullptr ? options.rows->count() : view.n;
  const bool saw_few = next.trained_on < sample && rows >= std::min(sample, kRetrainGrowth * next.trained_on);
  if (!next.codec || saw_few) {
    if (!train(work, next)) return;
    next.covered = 0;
    next.buffer = nullptr;
  }
  auto buffer = std::const_pointer_cast<Records>(next.buffer);
  if (capacity_of(next) < view.n) {
    // Room for as many again: searches keep the old records until they end.
    const Snapshot old = next;
    buffer = make_room(next, std::max(view.n, 2 * old.covered));
    for (std::size_t slot = 0; slot < old.covered; ++slot) copy_record(old, slot, next, *buffer, slot);
  }
  encode(work, next, buffer->data());
  next.covered = view.n;
  next.metric = params_.metric;
  const std::lock_guard snapshot_lock(snapshot_mutex_);
  std::swap(snapshot_, next);  // the old records are freed outside the lock
}

bool CodeStore::train(const Work& work, Snapshot& into) const {
  const VectorView& view = work.view;
  const RowSet* const allowed = work.options.rows;
  const std::vector<Slot> slots = allowed != nullptr ? allowed->to_slots() : RowSet::all(view.n).to_slots();
  const std::vector<float> rows = training_rows(view, slots, sample_size(view.dim), params_.seed);
  if (rows.empty()) return false;
  into.codec = std::make_shared<const Codec>(
      train_codec(params_, {rows.data(), rows.size() / view.dim, view.dim}, work.options.threads, work.options.cancel));
  lay_out(*into.codec, params_, into);
  into.trained_on = slots.size();
  return true;
}

void CodeStore::encode(const Work& work, const Snapshot& into, std::uint8_t* first) const {
  const std::size_t begin = into.covered;
  const std::size_t total = work.view.n - begin;
  const VectorView view = for_pass(work.view, total, total);
  std::visit(
      [&](const auto& concrete) {
        std::atomic<std::size_t> done{0};
        const std::size_t grain = std::clamp(kChunkBytes / (view.dim * sizeof(float)), kMinChunkRows, kMaxChunkRows);
        parallel_for({total, grain, work.options.threads}, [&](const Chunk& chunk) {
          if (work.options.cancel->poll()) throw Cancelled();
          const std::size_t n = chunk.end - chunk.begin;
          std::vector<float> rows(n * view.dim);
          for (std::size_t i = 0; i < n; ++i) {
            const Slot slot = static_cast<Slot>(begin + chunk.begin + i);
            to_code_space(view, slot, code_scale(view, slot), rows.data() + i * view.dim);
          }
          std::uint8_t* const records = first + (begin + chunk.begin) * into.stride;
          if constexpr (requires { concrete.encode_block(rows.data(), n, records); }) {
            concrete.encode_block(rows.data(), n, records);
          } else {
            for (std::size_t i = 0; i < n; ++i) {
              const float* const row = rows.data() + i * view.dim;
              std::uint8_t* const record = records + i * into.stride;
              if constexpr (requires { concrete.encode(row, record, into.plane); }) {
                concrete.encode(row, record, into.plane);
              } else {
                concrete.encode(row, record);
              }
            }
          }
          const std::size_t encoded = done.fetch_add(n) + n;
          if (chunk.worker == 0 && work.options.progress && encoded < total) work.options.progress(encoded, total);
        });
      },
      *into.codec);
  // The last chunk may be another worker's.
  if (work.options.progress) work.options.progress(total, total);
}

CodeStore::Snapshot CodeStore::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

std::unique_ptr<CodeStore> CodeStore::renumbered(std::span<const Slot> new_slot_of, std::size_t slots) const {
  auto store = std::make_unique<CodeStore>(params_);
  Snapshot moved = snapshot();
  if (!moved.codec) return store;
  const std::size_t old_slots = std::min(moved.covered, new_slot_of.size());
  const Snapshot old = moved;
  const auto buffer = make_room(moved, slots);
  for (std::size_t slot = 0; slot < old_slots; ++slot) {
    if (new_slot_of[slot] < slots) copy_record(old, slot, moved, *buffer, new_slot_of[slot]);
  }
  moved.covered = slots;
  store->snapshot_ = std::move(moved);
  return store;
}

std::size_t CodeStore::memory_bytes() const {
  const Snapshot now = snapshot();
  const std::size_t records = now.buffer ? now.buffer->bytes() : 0;
  return records + (now.codec ? std::visit([](const auto& codec) { return codec.memory_bytes(); }, *now.codec) : 0);
}

std::vector<Section> CodeStore::Image::sections() const {
  const std::uint8_t* const first = codes.buffer ? codes.buffer->data() : nullptr;
  const std::size_t bytes = codes.buffer ? codes.covered * codes.stride : 0;
  std::vector<Section> all{{"codes", params}, {"codec", codec}, {"records", {first, bytes}}};
  if (codes.pieces == 2) all.push_back({kSecondPieces, {first + codes.plane, bytes}});
  return all;
}

CodeStore::Image CodeStore::image() const {
  Image image{snapshot(), {}, {}};
  const Record record{static_cast<std::uint32_t>(params_.kind),
                      static_cast<std::uint32_t>(params_.dim),
                      static_cast<std::uint32_t>(params_.metric),
                      static_cast<std::uint32_t>(image.codes.stride),
                      static_cast<std::uint32_t>(params_.bits),
                      static_cast<std::uint32_t>(params_.m),
                      params_.opq ? 1U : 0U,
                      params_.aligned ? 1U : 0U,
                      params_.seed,
                      image.codes.covered,
                      image.codes.trained_on};
  const Bytes bytes = bytes_of(std::span<const Record>(&record, 1));
  image.params.assign(bytes.begin(), bytes.end());
  if (image.codes.codec) {
    image.codec = std::visit([](const auto& concrete) { return concrete.serialize(); }, *image.codes.codec);
  }
  return image;
}

std::uint64_t CodeStore::save(const std::string& path, Bytes identity) const {
  return write_container(path, identity, image().sections());
}

std::unique_ptr<CodeStore> CodeStore::load(const std::string& path, FindBasis find_basis) {
  const Container file = Container::read(path);
  std::unique_ptr<CodeStore> store = restore(file, std::move(find_basis));
  store->identity_.assign(file.identity().begin(), file.identity().end());
  return store;
}

std::unique_ptr<CodeStore> CodeStore::restore(const Container& file, FindBasis find_basis) {
  const Record record = read_record(file);
  std::unique_ptr<CodeStore> store;
  Snapshot loaded;
  try {
    store = std::make_unique<CodeStore>(
        CodeParams{static_cast<CodecKind>(record.kind), record.dim, static_cast<Metric>(record.metric), record.seed,
                   record.bits, record.m, record.opq != 0, std::move(find_basis), record.aligned != 0});
    if (const Bytes codec = file.section("codec"); record.covered != 0) {
      loaded.codec = std::make_shared<const Codec>(read_codec(store->params_.kind, codec));
    } else {
      require(file, "codec", codec.empty(), 0, codec.size());
    }
  } catch (const InvalidArgument& reason) {
    throw Corrupted({file.path(), "codec", 0, "a codec", reason.what()});
  }
  loaded.covered = record.covered;
  if (loaded.codec) {
    const std::size_t whole =
        std::visit([&](const auto& codec) { return checked_bytes(file, record, codec); }, *loaded.codec);
    lay_out(*loaded.codec, store->params_, loaded);
    if (loaded.pieces == 2 && !file.has(kSecondPieces)) {
      read_whole(file, record, stride_of(whole, store->params_), loaded);
    } else {
      read_pieces(file, record, loaded);
    }
  } else {
    require(file, "codes", record.stride == 0, 0, record.stride);
    require_section(file, "records", 0);
  }
  loaded.trained_on = record.trained_on;
  loaded.metric = store->params_.metric;
  store->snapshot_ = std::move(loaded);
  return store;
}

}  // namespace vdb
