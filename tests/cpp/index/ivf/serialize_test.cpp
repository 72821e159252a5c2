// Snapshots of inverted files: what comes back, and forged ones whose every checksum is right.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "base/error.h"
#include "base/half.h"
#include "io/container.h"
#include "ivf_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

constexpr std::size_t kRows = 700;
constexpr std::size_t kDim = 10;

// Saves, loads, and saves again: the bytes of both files must agree.
std::unique_ptr<Ivf> round_trip(const Ivf& index) {
  const TemporaryFolder folder;
  const std::vector<unsigned char> identity{1, 2, 0, 3};
  const std::uint64_t length = index.save(folder.file("a"), identity);
  CHECK(length == std::filesystem::file_size(folder.file("a")));
  std::unique_ptr<Ivf> loaded = Ivf::load(folder.file("a"));
  CHECK(loaded->identity() == identity);
  loaded->save(folder.file("b"), identity);
  CHECK((read_file(folder.file("a")) == read_file(folder.file("b"))));
  return loaded;
}

TEST_CASE("what comes back is what was saved, and grows as it would have") {
  const Vectors rows = clustered_vectors(Metric::kCosine, kRows, kDim, 1);
  const Vectors queries = clustered_vectors(Metric::kCosine, 20, kDim, 2);
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf index(kind.params(kDim, Metric::kCosine, 13));
    CHECK(round_trip(index)->state()->covered == 0);
    extend(index, rows.first(400));
    extend(index, rows.first(500));
    const auto loaded = round_trip(index);
    const auto a = index.state();
    const auto b = loaded->state();
    CHECK(b->covered == 500);
    CHECK(b->rows == 500);
    CHECK(b->model->trained_on == 400);
    CHECK(index.drift() == loaded->drift());
    CHECK(sizes_of(index) == sizes_of(*loaded));
    for (Ivf* each : {&index, loaded.get()}) extend(*each, rows.view());
    CHECK(sizes_of(index) == sizes_of(*loaded));
    const Answer before = search_ivf(index, rows.view(), queries, {}, probing(3));
    const Answer after = search_ivf(*loaded, rows.view(), queries, {}, probing(3));
    CHECK((before == after));
    CHECK(before.stats.distances == after.stats.distances);
    round_trip(*loaded);
  }
}

// The sections of a good snapshot, open to change.
struct Sections {
  std::map<std::string, std::vector<unsigned char>> data;

  template <class T>
  void set(const char* tag, std::size_t at, T value) {
    std::memcpy(&data[tag].at(at), &value, sizeof value);
  }
  template <class T>
  T get(const char* tag, std::size_t at) const {
    T value;
    std::memcpy(&value, &data.at(tag).at(at), sizeof value);
    return value;
  }
};

Sections good_sections(const Kind& kind) {
  const TemporaryFolder folder;
  const Vectors rows = clustered_vectors(Metric::kL2, kRows, kDim, 1);
  Ivf index(kind.params(kDim, Metric::kL2, 5));
  extend(index, rows.view());
  index.save(folder.file("good"), {});
  const Container file = Container::read(folder.file("good"));
  Sections sections;
  for (const char* tag : {"params", "codec", "length", "centroid", "lists", "blocks", "extra", "slots"}) {
    const Bytes bytes = file.section(tag);
    sections.data[tag].assign(bytes.begin(), bytes.end());
  }
  return sections;
}

// The section a loader blames for the snapshot that `forge` makes of a good one; "" where it loads.
std::string blamed(const Kind& kind, const std::function<void(Sections&)>& forge) {
  static std::map<std::string, Sections> good;
  if (!good.contains(kind.name)) good[kind.name] = good_sections(kind);
  Sections forged = good[kind.name];
  forge(forged);
  const TemporaryFolder folder;
  std::vector<Section> list;
  for (const auto& [tag, bytes] : forged.data) list.push_back({tag, bytes});
  write_container(folder.file("forged"), {}, list);
  try {
    static_cast<void>(Ivf::load(folder.file("forged")));
  } catch (const Corrupted& error) {
    CHECK(error.damage.path == folder.file("forged"));
    return error.damage.section;
  }
  return "";
}

TEST_CASE("sections of another length are refused") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    CHECK(blamed(kind, [](Sections&) {}) == "");
    for (const char* tag : {"params", "codec", "centroid", "lists", "blocks", "extra", "slots"}) {
      CAPTURE(tag);
      CHECK(blamed(kind, [&](Sections& s) { s.data[tag].push_back(0); }) != "");
      CHECK(blamed(kind, [&](Sections& s) { s.data.erase(tag); }) != "");
      if (std::string(tag) == "extra" && kind.bits == 1) continue;
      CHECK(blamed(kind, [&](Sections& s) { s.data[tag].pop_back(); }) != "");
      CHECK(blamed(kind, [&](Sections& s) { s.data[tag].clear(); }) != "");
    }
  }
}

TEST_CASE("parameters out of range or not those of the codec are refused") {
  const Kind& pq = kinds()[0];
  const Kind& rabitq = kinds()[5];
  for (const Kind* kind : {&pq, &rabitq}) {
    for (std::size_t at = 0; at < 32; at += 4) {
      if (at == 12 || at == 16) continue;  // nlist and m of the first training
      CAPTURE(at);
      const bool other = (kind == &pq) == (at == 28) || (kind == &rabitq && (at == 20 || at == 24));
      const auto forge = [&](Sections& s) { s.set("params", at, 0x7fffffffU); };
      if (!other) CHECK(blamed(*kind, forge) != "");
    }
    CHECK(blamed(*kind, [](Sections& s) { s.set("params", 0, s.get<std::uint32_t>("params", 0) ^ 1U); }) != "");
    CHECK(blamed(*kind, [](Sections& s) { s.set("params", 8, 2U); }) == "codec");
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{kRows - 1}, kMaxSlots + 1, ~std::uint64_t{0}}) {
      CHECK(blamed(*kind, [&](Sections& s) { s.set("params", 40, value); }) != "");
      CHECK(blamed(*kind, [&](Sections& s) { s.set("params", 48, value); }) != "");
    }
    CHECK(blamed(*kind, [](Sections& s) { s.set("params", 56, std::uint64_t{0}); }) == "params");
    CHECK(blamed(*kind, [](Sections& s) { s.set("params", 72, -1.0); }) == "params");
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(blamed(*kind, [&](Sections& s) { s.set("params", 80, nan); }) == "params");
  }
  CHECK(blamed(rabitq, [](Sections& s) { s.set("params", 28, 3U); }) != "");
  CHECK(blamed(rabitq, [](Sections& s) { s.set("params", 32, std::uint64_t{5}); }) != "");
}

TEST_CASE("centroids and codecs that are not finite are refused") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    CHECK(blamed(kind, [&](Sections& s) { s.set("centroid", 4, nan); }) == "centroid");
    CHECK(blamed(kind, [&](Sections& s) { s.set("codec", s.data["codec"].size() - 4, infinity); }) == "params");
    const auto other_dim = [](Sections& s) {  // it stands first, or behind the seed
      s.set("codec", s.get<std::uint32_t>("codec", 0) == kDim ? 0 : 8, 77U);
    };
    CHECK(blamed(kind, other_dim) != "");
    const auto no_dim = [](Sections& s) { s.set("codec", s.get<std::uint32_t>("codec", 0) == kDim ? 0 : 8, 0U); };
    CHECK(blamed(kind, no_dim) != "");
  }
}

TEST_CASE("the length of all rows is one, or not known") {
  const Kind& kind = kinds()[4];
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float wrong : {-1.0F, infinity, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK(blamed(kind, [&](Sections& s) { s.set("length", 0, wrong); }) == "length");
  }
  CHECK(blamed(kind, [](Sections& s) { s.data["length"].push_back(0); }) == "length");
  CHECK(blamed(kind, [](Sections& s) { s.set("length", 0, 2.5F); }) == "");
  CHECK(blamed(kind, [](Sections& s) { s.data.erase("length"); }) == "");
}

TEST_CASE("lists whose rows are not where they should be are refused") {
  for (const Kind& kind : kinds()) {
    CAPTURE(kind.name);
    Ivf shaped(kind.params(kDim, Metric::kL2, 5));
    extend(shaped, clustered_vectors(Metric::kL2, kRows, kDim, 1).view());
    const ListShape shape = shaped.state()->model->shape;
    const auto slot_at = [](std::size_t row) { return row * sizeof(Slot); };
    for (const std::uint32_t rows : {0U, 1U, 100'000U, 0xffffffffU}) {
      CHECK(blamed(kind, [&](Sections& s) { s.set("lists", 0, rows); }) != "");
    }
    for (const Slot slot : {Slot{kRows}, kAbsentSlot, Slot{0x80000000U}}) {
      CHECK(blamed(kind, [&](Sections& s) { s.set("slots", slot_at(3), slot); }) == "blocks");
    }
    CHECK(blamed(kind, [&](Sections& s) { s.set("slots", slot_at(1), s.get<Slot>("slots", slot_at(0))); }) == "blocks");
    // The same where the file claims so many slots that a bit for each would be more than the file.
    const auto claim = [](Sections& s) { s.set("params", 40, std::uint64_t{kMaxSlots}); };
    CHECK(blamed(kind, claim) == "");
    CHECK(blamed(kind, [&](Sections& s) {
            claim(s);
            s.set("slots", slot_at(1), s.get<Slot>("slots", slot_at(0)));
          }) == "blocks");
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(blamed(kind, [&](Sections& s) { s.set("blocks", shape.factors_at(), nan); }) == "blocks");
    const std::uint16_t positive = to_bfloat16(1);
    CHECK(blamed(kind, [&](Sections& s) { s.set("blocks", shape.factors_at() + 64, positive); }) == "blocks");
    // A place behind the last row of the last list that has one.
    const std::vector<std::size_t> sizes = sizes_of(shaped);
    std::size_t begin = 0;
    for (const std::size_t size : sizes) {
      if (size % 32 != 0) {
        const std::size_t at = slot_at(begin * 32 + size);
        CHECK(blamed(kind, [&](Sections& s) { s.set("slots", at, Slot{1}); }) == "blocks");
        break;
      }
      begin += ListShape::blocks(size);
    }
  }
}

}  // namespace
}  // namespace vdb
