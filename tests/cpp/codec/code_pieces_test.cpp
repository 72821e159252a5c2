// Aligned records of two bits: the signs of all rows stand together, and the rest of all rows behind them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "codec/code_store.h"
#include "data.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::TemporaryFolder;
using testing::Vectors;

using Content = std::vector<unsigned char>;

constexpr std::size_t kDim = 70;
constexpr std::size_t kRows = 300;
const Content kIdentity{3, 1};

CodeParams params_of(bool aligned, std::size_t bits = 2) {
  return {.kind = CodecKind::kRabitq, .dim = kDim, .metric = Metric::kL2, .bits = bits, .aligned = aligned};
}

void extend(CodeStore& codes, const VectorView& view, std::size_t threads = 1) {
  CancelToken token;
  codes.extend(view, {nullptr, threads, &token, {}});
}

const Rabitq& codec_of(const CodeStore::Snapshot& codes) { return std::get<Rabitq>(*codes.codec); }

// The records as they are where they are whole.
Content whole(const CodeStore::Snapshot& codes) {
  const std::size_t signs = codec_of(codes).sign_record_bytes();
  const std::size_t bytes = codec_of(codes).record_bytes();
  Content all;
  for (Slot slot = 0; slot < codes.covered; ++slot) {
    const std::uint8_t* const first = codes.record(slot);
    const std::uint8_t* const rest = codes.pieces == 2 ? first + codes.plane : first + signs;
    all.insert(all.end(), first, first + signs);
    all.insert(all.end(), rest, rest + (bytes - signs));
  }
  return all;
}

TEST_CASE("only aligned records of two bits are in pieces, each on lines of its own") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, kRows, kDim, 1);
  for (const std::size_t bits : {1UL, 2UL, 3UL, 8UL}) {
    for (const bool aligned : {false, true}) {
      CodeStore codes(params_of(aligned, bits));
      extend(codes, rows.view());
      const CodeStore::Snapshot now = codes.snapshot();
      CAPTURE(bits);
      CAPTURE(aligned);
      const bool cut = aligned && bits == 2;
      CHECK(now.pieces == (cut ? 2 : 1));
      CHECK((now.plane != 0) == cut);
      CHECK(now.row_bytes() >= codec_of(now).record_bytes());
      if (cut) {
        CHECK(now.stride == 32);  // 128 dimensions: 16 bytes of signs and as many of factors
        CHECK(now.plane % now.stride == 0);
        CHECK(now.buffer->size() == 2 * kRows * now.stride);
      }
    }
  }
}

TEST_CASE("records in pieces say what whole ones do, in every form") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const Vectors queries = testing::uniform_vectors(Metric::kL2, 3, kDim, 2);
  CodeStore in_one(params_of(false));
  CodeStore in_two(params_of(true));
  extend(in_one, rows.view());
  extend(in_two, rows.view(), 2);
  const CodeStore::Snapshot one = in_one.snapshot();
  const CodeStore::Snapshot two = in_two.snapshot();
  CHECK(whole(one) == whole(two));
  std::vector<Slot> slots(kRows);
  std::iota(slots.begin(), slots.end(), Slot{0});
  std::reverse(slots.begin(), slots.end());
  for (std::size_t q = 0; q < queries.n; ++q) {
    const Rabitq::Query query = codec_of(one).bind(queries.row(static_cast<Slot>(q)));
    const auto every_form = [&](const CodeStore::Snapshot& codes) {
      constexpr std::size_t kRoom = 16;
      const CodeRows all = codes.rows(0, kRows);
      std::vector<float> values(kRows + kRoom);
      query.distances(all, slots, values.data());
      values.resize(kRows);
      std::vector<Estimate> estimates(2 * kRows);
      query.estimates(all, slots, estimates.data());
      query.estimate_block(all, estimates.data() + kRows);
      for (const Slot slot : slots) estimates.push_back(query.estimate(codes.record(slot), codes.plane));
      for (const Slot slot : slots) estimates.push_back(query.signs().estimate(codes.record(slot)));
      for (const Estimate& estimate : estimates) values.insert(values.end(), {estimate.distance, estimate.error});
      return values;
    };
    CHECK(every_form(one) == every_form(two));
  }
  std::vector<float> decoded(2 * kDim);
  for (const Slot slot : slots) {
    codec_of(one).decode(one.record(slot), decoded.data());
    codec_of(two).decode(two.record(slot), decoded.data() + kDim, two.plane);
    CHECK(std::equal(decoded.begin(), decoded.begin() + kDim, decoded.begin() + kDim));
  }
}

TEST_CASE("pieces grow, move and are loaded as one") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const TemporaryFolder folder;
  CodeStore codes(params_of(true));
  extend(codes, rows.first(200));
  codes.save(folder.file("a"), kIdentity);
  const std::unique_ptr<CodeStore> loaded = CodeStore::load(folder.file("a"));
  CHECK(whole(loaded->snapshot()) == whole(codes.snapshot()));
  for (const std::size_t n : {201UL, 202UL, kRows}) {
    extend(codes, rows.first(n));
    extend(*loaded, rows.first(n));
    CHECK(whole(loaded->snapshot()) == whole(codes.snapshot()));
  }
  CHECK(codes.covered() == kRows);
  loaded->save(folder.file("b"), kIdentity);  // there is room behind the first pieces
  CHECK(whole(CodeStore::load(folder.file("b"))->snapshot()) == whole(codes.snapshot()));

  std::vector<Slot> number(kRows, kAbsentSlot);
  for (Slot slot = 0; slot < kRows / 2; ++slot) number[2 * slot] = kRows / 2 - 1 - slot;
  const CodeStore::Snapshot moved = codes.renumbered(number, kRows / 2)->snapshot();
  const Content before = whole(codes.snapshot());
  const Content after = whole(moved);
  const std::size_t bytes = codec_of(moved).record_bytes();
  for (Slot slot = 0; slot < kRows / 2; ++slot) {
    const auto from = before.begin() + static_cast<std::ptrdiff_t>(2 * slot * bytes);
    const auto to = after.begin() + static_cast<std::ptrdiff_t>(number[2 * slot] * bytes);
    CHECK(std::equal(from, from + static_cast<std::ptrdiff_t>(bytes), to));
  }
}

TEST_CASE("files of whole records are cut when they are read; pieces that do not fit are refused") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, kRows, kDim, 1);
  const TemporaryFolder folder;
  const std::string path = folder.file("codes");
  CodeStore codes(params_of(true));
  extend(codes, rows.view());
  codes.save(path, kIdentity);
  const Container file = Container::read(path);
  constexpr std::size_t kStrideAt = 12;
  constexpr std::size_t kWholeStride = 64;
  Content before(file.section("codes").begin(), file.section("codes").end());
  before[kStrideAt] = kWholeStride;
  const Content records = whole(codes.snapshot());
  const std::size_t bytes = codec_of(codes.snapshot()).record_bytes();
  Content padded(kRows * kWholeStride);
  for (std::size_t i = 0; i < kRows; ++i) std::copy_n(&records[i * bytes], bytes, &padded[i * kWholeStride]);
  const auto write = [&](std::vector<Section> sections) {
    std::filesystem::remove(path);
    write_container(path, kIdentity, sections);
  };
  write({{"codes", before}, {"codec", file.section("codec")}, {"records", padded}});
  CHECK(whole(CodeStore::load(path)->snapshot()) == records);

  const auto refused = [&](Bytes params, Bytes first, std::vector<Section> more, bool behind = true) {
    std::vector<Section> sections{{"codes", params}, {"codec", file.section("codec")}, {"records", first}};
    sections.insert(behind ? sections.end() : sections.begin(), more.begin(), more.end());
    write(sections);
    CHECK_THROWS_AS(CodeStore::load(path), Corrupted);
  };
  const Bytes params = file.section("codes");
  const Bytes first = file.section("records");
  const Bytes rest = file.section("rest");
  refused(before, {padded.data(), padded.size() - 1}, {});
  refused(params, padded, {});
  refused(before, first, {{"rest", rest}});
  refused(params, first, {{"rest", {rest.data(), rest.size() - 1}}});
  refused(params, {first.data(), first.size() - 1}, {{"rest", rest}});
  refused(params, first, {{"rest", rest}}, false);
}

}  // namespace
}  // namespace vdb
