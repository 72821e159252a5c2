#include "codec/code_store.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "data.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::read_file;
using testing::TemporaryFolder;
using testing::Vectors;

using Content = std::vector<unsigned char>;

const Content kIdentity{7, 0, 9};

void extend(CodeStore& codes, const VectorView& view, std::size_t threads = 1, const RowSet* rows = nullptr) {
  CancelToken token;
  codes.extend(view, {rows, threads, &token, {}});
}

Content records(const CodeStore& codes) {
  const CodeStore::Snapshot now = codes.snapshot();
  return {now.buffer->data(), now.buffer->data() + now.covered * now.stride};
}

TEST_CASE("codes are the same for any number of threads and any cut into extends") {
  const Vectors rows = testing::clustered_vectors(Metric::kCosine, 40'000, 12, 1);
  CodeStore at_once({CodecKind::kSq8, 12, Metric::kCosine});
  extend(at_once, rows.view(), 1);
  CodeStore in_parallel({CodecKind::kSq8, 12, Metric::kCosine});
  extend(in_parallel, rows.view(), 2);
  CHECK(records(in_parallel) == records(at_once));
  CodeStore in_parts({CodecKind::kSq8, 12, Metric::kCosine});
  for (const std::size_t n : {35'000U, 35'001U, 40'000U}) extend(in_parts, rows.first(n));
  CHECK(records(in_parts).size() == records(at_once).size());
}

TEST_CASE("a codec that saw few rows is trained again when there are many more") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 2'000, 8, 1);
  CodeStore codes({CodecKind::kSq8, 8, Metric::kL2});
  extend(codes, rows.first(10));
  const auto first = codes.snapshot().codec;
  extend(codes, rows.first(39));
  CHECK(codes.snapshot().codec == first);
  extend(codes, rows.first(40));
  CHECK(codes.snapshot().codec != first);
  CHECK(codes.covered() == 40);
}

TEST_CASE("slots without a vector do not count as rows that a codec saw") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 1'001, 8, 1);
  CodeStore codes({CodecKind::kSq8, 8, Metric::kL2});
  const RowSet few = RowSet::from_range(0, 10, 1'000);
  extend(codes, rows.first(1'000), 1, &few);
  const auto first = codes.snapshot().codec;
  CHECK(codes.snapshot().trained_on == 10);
  const RowSet still_few = RowSet::from_range(0, 39, 1'001);
  const RowSet many = RowSet::from_range(0, 40, 1'001);
  const TemporaryFolder folder;
  codes.save(folder.file("a"), kIdentity);
  extend(codes, rows.view(), 1, &still_few);
  CHECK(codes.snapshot().codec == first);
  const std::unique_ptr<CodeStore> loaded = CodeStore::load(folder.file("a"));
  extend(*loaded, rows.view(), 1, &many);
  CHECK(loaded->snapshot().trained_on == 40);
}

TEST_CASE("rows without a vector are not trained on") {
  Vectors rows = testing::clustered_vectors(Metric::kL2, 1'000, 8, 1);
  std::vector<Slot> present;
  for (std::size_t i = 0; i < rows.n; i += 2) present.push_back(static_cast<Slot>(i));
  const RowSet set = RowSet::from_slots(present, rows.n);
  CodeStore one({CodecKind::kSq8, 8, Metric::kL2});
  extend(one, rows.view(), 1, &set);
  for (std::size_t i = 1; i < rows.n; i += 2) std::fill_n(rows.values.data() + i * 8, 8, 1e6F);
  CodeStore other({CodecKind::kSq8, 8, Metric::kL2});
  extend(other, rows.view(), 1, &set);
  const auto bytes = [](const CodeStore& codes) {
    return std::visit([](const auto& codec) { return codec.serialize(); }, *codes.snapshot().codec);
  };
  CHECK(bytes(one) == bytes(other));
}

TEST_CASE("of a vector without a clear direction the codes say nothing") {
  Vectors rows(Metric::kCosine, 3, {1, 2, 3, 0, 0, 0, 1e-30F, 0, 0, 1e30F, 0, 0, 3, 2, 1});
  CodeStore codes({CodecKind::kSq8, 3, Metric::kCosine});
  extend(codes, rows.view());
  const CodeStore::Snapshot now = codes.snapshot();
  const float direction[3] = {0, 0, 1};
  const auto query = std::get<ScalarQuantizer>(*now.codec).bind(direction);
  for (Slot slot = 0; slot < 5; ++slot) {
    const bool known = slot == 0 || slot == 4;
    CHECK((query.estimate(now.record(slot)).error < 1) == known);
  }
}

TEST_CASE("the memory of codes is at least that of the file they are saved as") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 300, 16, 1);
  for (const CodecKind kind : {CodecKind::kSq8, CodecKind::kRabitq, CodecKind::kPq, CodecKind::kProjection}) {
    CodeParams params{kind, 16, Metric::kL2};
    params.bits = 8;
    params.m = 4;
    params.find_basis = [](const TrainingRows& sample) {
      Basis basis{std::vector<float>(sample.dim * sample.dim), sample.dim, true};
      for (std::size_t d = 0; d < sample.dim; ++d) basis.directions[d * (sample.dim + 1)] = 1;
      return basis;
    };
    CodeStore codes(params);
    extend(codes, rows.view());
    const CodeStore::Snapshot now = codes.snapshot();
    const Content codec = std::visit([](const auto& it) { return it.serialize(); }, *now.codec);
    constexpr std::size_t kHeader = 64;  // of a serialised codec, at most
    CAPTURE(static_cast<int>(kind));
    CHECK(codes.memory_bytes() + kHeader >= 300 * now.stride + codec.size());
  }
}

TEST_CASE("progress grows to the whole, once, however few rows there are") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 3'000, 8, 1);
  for (const std::size_t n : {1U, 256U, 3'000U}) {
    // Which worker ends last differs from run to run.
    for (std::size_t run = 0; run < 50; ++run) {
      const std::size_t threads = 1 + run % 4;
      CodeStore codes({CodecKind::kSq8, 8, Metric::kL2});
      std::vector<std::size_t> reports;
      CancelToken token;
      codes.extend(rows.first(n), {nullptr, threads, &token, [&](std::size_t done, std::size_t total) {
                                     CHECK(total == n);
                                     reports.push_back(done);
                                   }});
      REQUIRE(!reports.empty());
      CHECK(reports.back() == n);
      CHECK(std::adjacent_find(reports.begin(), reports.end(), std::greater_equal<>()) == reports.end());
    }
  }
}

TEST_CASE("loaded codes are those that were saved, and go on where they ended") {
  const Vectors rows = testing::clustered_vectors(Metric::kInnerProduct, 900, 10, 2);
  for (const Metric metric : testing::kMetrics) {
    const Vectors of_metric(metric, 10, rows.values);
    CodeStore codes({CodecKind::kSq8, 10, metric, 5});
    extend(codes, of_metric.first(600));
    const TemporaryFolder folder;
    const std::uint64_t length = codes.save(folder.file("a"), kIdentity);
    CHECK(length == std::filesystem::file_size(folder.file("a")));
    const std::unique_ptr<CodeStore> loaded = CodeStore::load(folder.file("a"));
    CHECK(loaded->identity() == kIdentity);
    CHECK(loaded->params().metric == metric);
    CHECK(loaded->params().seed == 5);
    CHECK(loaded->covered() == 600);
    CHECK(loaded->memory_bytes() == 600 * codes.snapshot().stride + 10 * sizeof(float));  // the records and a mean
    loaded->save(folder.file("b"), kIdentity);
    CHECK((read_file(folder.file("a")) == read_file(folder.file("b"))));
    extend(codes, of_metric.view());
    extend(*loaded, of_metric.view());
    CHECK(records(*loaded) == records(codes));
  }
}

TEST_CASE("a file altered at any byte, or cut at any length, is refused") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 20, 3, 2);
  CodeStore codes({CodecKind::kSq8, 3, Metric::kL2});
  extend(codes, rows.view());
  const TemporaryFolder folder;
  const std::string path = folder.file("codes");
  codes.save(path, kIdentity);
  const Content whole = read_file(path);
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Content damaged = whole;
    damaged[i] ^= 0x41;
    testing::put_file(path, damaged);
    try {
      static_cast<void>(CodeStore::load(path));
      ++accepted;
    } catch (const Corrupted&) {
    }
  }
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    testing::put_file(path, Content(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    CHECK_THROWS_AS(CodeStore::load(path), Corrupted);
  }
  CHECK(accepted == 0);
}

TEST_CASE("sections that pass their checksums and make no sense are refused") {
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 20, 3, 2);
  CodeStore codes({CodecKind::kSq8, 3, Metric::kL2});
  extend(codes, rows.view());
  const TemporaryFolder folder;
  const std::string path = folder.file("codes");
  codes.save(path, kIdentity);
  const Container file = Container::read(path);
  const auto copy = [&](const char* tag) { return Content(file.section(tag).begin(), file.section(tag).end()); };
  const Content params = copy("codes");
  const Content codec = copy("codec");
  const Content bytes = copy("records");
  const auto refused = [&](const Content& p, const Content& c, const Content& r) {
    const Section sections[] = {{"codes", p}, {"codec", c}, {"records", r}};
    std::filesystem::remove(path);
    write_container(path, kIdentity, sections);
    CHECK_THROWS_AS(CodeStore::load(path), Corrupted);
  };
  for (std::size_t i = 0; i < 16; ++i) {  // kind, dim, metric, stride
    Content changed = params;
    changed[i] ^= 0x5a;
    refused(changed, codec, bytes);
  }
  Content covered = params;
  covered[40] += 1;
  refused(covered, codec, bytes);
  covered[47] = 0xff;
  refused(covered, codec, bytes);
  refused(Content(params.begin(), params.end() - 1), codec, bytes);
  refused(params, Content(codec.begin(), codec.end() - 4), bytes);
  refused(params, codec, Content(bytes.begin(), bytes.end() - 1));
}

TEST_CASE("params that no writer gives are refused, whatever is covered") {
  const TemporaryFolder folder;
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 20, 4, 2);
  CodeStore covering({CodecKind::kSq8, 4, Metric::kL2});
  extend(covering, rows.view());
  const CodeStore empty({CodecKind::kSq8, 4, Metric::kL2});
  constexpr std::size_t kMetricAt = 8;
  constexpr std::size_t kZeroAt = 28;
  constexpr std::size_t kTrainedOnAt = 48;
  for (const CodeStore* const codes : {&empty, static_cast<const CodeStore*>(&covering)}) {
    const std::string path = folder.file(codes == &empty ? "empty" : "covering");
    codes->save(path, kIdentity);
    const Container file = Container::read(path);
    const Bytes codec = file.section("codec");
    const Bytes bytes = file.section("records");
    const auto refused = [&](std::size_t at, unsigned char value, Bytes with_codec, const char* message) {
      Content params(file.section("codes").begin(), file.section("codes").end());
      params[at] = value;
      const Section sections[] = {{"codes", params}, {"codec", with_codec}, {"records", bytes}};
      std::filesystem::remove(path);
      write_container(path, kIdentity, sections);
      CHECK_THROWS_WITH_AS(CodeStore::load(path), doctest::Contains(message), Corrupted);
    };
    CAPTURE(codes->covered());
    refused(0, 4, codec, "unknown kind of codes 4");
    refused(kZeroAt, 7, codec, "found 7");
    refused(kTrainedOnAt, codes == &empty ? 1 : 0, codec, "codes");
    refused(kTrainedOnAt, 21, codec, "found 21");
    if (codes == &empty) {
      const Content some = std::visit([](const auto& it) { return it.serialize(); }, *covering.snapshot().codec);
      refused(0, 0, some, "codec");
    } else {
      refused(kMetricAt, static_cast<unsigned char>(Metric::kCosine), codec, "codec");
      refused(kMetricAt, static_cast<unsigned char>(Metric::kInnerProduct), codec, "codec");
      refused(0, 0, {}, "codec");
    }
  }
}

TEST_CASE("parameters that are not those of the codec are refused, for it may be trained anew by them") {
  constexpr std::size_t kBitsAt = 16;
  constexpr std::size_t kCountAt = 20;  // of sub-quantisers
  const TemporaryFolder folder;
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 20, 4, 2);
  const auto refused = [&](const CodeParams& params, std::size_t at, unsigned char value) {
    const std::string path = folder.file("codes");
    std::filesystem::remove(path);
    CodeStore codes(params);
    extend(codes, rows.view());
    codes.save(path, kIdentity);
    const Container file = Container::read(path);
    Content changed(file.section("codes").begin(), file.section("codes").end());
    changed[at] = value;
    const Section sections[] = {
        {"codes", changed}, {"codec", file.section("codec")}, {"records", file.section("records")}};
    std::filesystem::remove(path);
    write_container(path, kIdentity, sections);
    CHECK_THROWS_WITH_AS(CodeStore::load(path), doctest::Contains("codec"), Corrupted);
  };
  refused({.kind = CodecKind::kRabitq, .dim = 4, .bits = 2}, kBitsAt, 3);
  refused({.kind = CodecKind::kRabitq, .dim = 4, .bits = 2}, kBitsAt, 200);
  refused({.kind = CodecKind::kPq, .dim = 4, .bits = 4, .m = 2}, kBitsAt, 8);
  refused({.kind = CodecKind::kPq, .dim = 4, .bits = 4, .m = 2}, kCountAt, 0);
}

TEST_CASE("the sample of the widest vectors stays a small part of memory") {
  constexpr std::size_t kDim = 65'535;
  constexpr std::size_t kRows = 600;
  const std::vector<std::byte> values(kRows * kDim, std::byte{1});
  const VectorView view{values.data(), kRows, kDim, Metric::kL2, nullptr, Dtype::kInt8};
  std::size_t sampled = 0;
  CodeParams params{CodecKind::kProjection, kDim, Metric::kL2};
  params.find_basis = [&](const TrainingRows& sample) {
    sampled = sample.n;
    Basis basis{std::vector<float>(sample.dim), 1, false};
    basis.directions[0] = 1;
    return basis;
  };
  CodeStore codes(params);
  extend(codes, view);
  CHECK(sampled * kDim * sizeof(float) <= std::size_t{128} << 20);
  CHECK(sampled >= 256);
}

TEST_CASE("loaded codes outlive their snapshot and never change it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("codes");
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 300, 5, 2);
  CodeStore codes({CodecKind::kSq8, 5, Metric::kL2});
  extend(codes, rows.first(200));
  codes.save(path, kIdentity);
  const Content saved = read_file(path);
  const std::unique_ptr<CodeStore> loaded = CodeStore::load(path);
  const CodeStore::Snapshot before = loaded->snapshot();
  extend(*loaded, rows.view());
  CHECK(read_file(path) == saved);
  std::filesystem::remove(path);
  CHECK(std::memcmp(before.record(0), codes.snapshot().record(0), 200 * before.stride) == 0);
  extend(codes, rows.view());
  REQUIRE(loaded->covered() == 300);
  CHECK(std::memcmp(loaded->snapshot().record(0), codes.snapshot().record(0), 300 * before.stride) == 0);
}

TEST_CASE("codes of no rows are saved and loaded") {
  const TemporaryFolder folder;
  CodeStore({CodecKind::kSq8, 4, Metric::kL2}).save(folder.file("a"), kIdentity);
  const std::unique_ptr<CodeStore> loaded = CodeStore::load(folder.file("a"));
  CHECK(loaded->covered() == 0);
  const Vectors rows = testing::clustered_vectors(Metric::kL2, 20, 4, 2);
  extend(*loaded, rows.view());
  CHECK(loaded->covered() == 20);
}

TEST_CASE("wrong parameters are clear errors") {
  CHECK_THROWS_AS(CodeStore({CodecKind::kSq8, 0, Metric::kL2}), InvalidArgument);
  CHECK_THROWS_AS(CodeStore({CodecKind::kSq8, 65'536, Metric::kL2}), InvalidArgument);
}

}  // namespace
}  // namespace vdb
