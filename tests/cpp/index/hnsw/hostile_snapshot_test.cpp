// Snapshots made to deceive: every checksum is right and the graph inside is not one. A loader that believed them would
// read outside its arrays.
#include <doctest/doctest.h>

#include <cstring>
#include <functional>

#include "answer.h"
#include "base/error.h"
#include "index/hnsw/hnsw.h"
#include "io/container.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::TemporaryFolder;
using testing::Vectors;

constexpr std::size_t kRows = 60;
constexpr std::size_t kM = 3;

// The sections of a good snapshot, open to change.
struct Sections {
  std::vector<unsigned char> params;
  std::vector<unsigned char> levels;
  std::vector<Slot> base;
  std::vector<Slot> upper;

  std::vector<Section> list() const {
    return {{"params", params},
            {"levels", levels},
            {"base", bytes_of(std::span<const Slot>(base))},
            {"upper", bytes_of(std::span<const Slot>(upper))}};
  }
  template <class T>
  void set(std::size_t at, T value) {
    std::memcpy(&params[at], &value, sizeof value);
  }
  std::uint32_t param(std::size_t at) const {
    std::uint32_t value;
    std::memcpy(&value, &params[at], sizeof value);
    return value;
  }
  // Position in `upper` of the first row of the node.
  std::size_t upper_begin(std::size_t slot) const {
    std::size_t rows = 0;
    for (std::size_t i = 0; i < slot; ++i) rows += levels[i];
    return rows * kM;
  }
  std::size_t first_on_level(std::size_t level) const {
    return static_cast<std::size_t>(std::find(levels.begin(), levels.end(), level) - levels.begin());
  }
};

template <class T>
std::vector<T> copy(Bytes bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

Sections good_sections(std::size_t rows = kRows) {
  const TemporaryFolder folder;
  const Vectors vectors = testing::clustered_vectors(Metric::kL2, rows, 3, 1);
  Hnsw graph({3, Metric::kL2, kM, 10, 5});
  testing::extend(graph, vectors.view());
  graph.save(folder.file("good"), {});
  const Container file = Container::read(folder.file("good"));
  return {copy<unsigned char>(file.section("params")), copy<unsigned char>(file.section("levels")),
          copy<Slot>(file.section("base")), copy<Slot>(file.section("upper"))};
}

// The section a loader blames for the snapshot that `forge` makes of a good one; "" where it loads.
std::string blamed(Sections forged, const std::function<void(Sections&)>& forge) {
  forge(forged);
  const TemporaryFolder folder;
  write_container(folder.file("forged"), {}, forged.list());
  try {
    static_cast<void>(Hnsw::load(folder.file("forged")));
  } catch (const Corrupted& error) {
    CHECK(error.damage.path == folder.file("forged"));
    return error.damage.section;
  }
  return "";
}

std::string blamed(const std::function<void(Sections&)>& forge) {
  static const Sections good = good_sections();
  return blamed(good, forge);
}

TEST_CASE("the sections put together unchanged load") {
  CHECK(blamed([](Sections&) {}) == "");
}

TEST_CASE("neighbours outside the graph are refused, wherever they stand") {
  for (const Slot bad : {Slot{kRows}, Slot{kRows + 1}, Slot{0x7fffffffU}, Slot{0x80000000U}, kAbsentSlot - 1}) {
    for (const std::size_t at : {0U, 7U, 100U, 200U}) {
      CHECK(blamed([&](Sections& s) { s.base[at] = bad; }) == "base");
    }
    CHECK(blamed([&](Sections& s) { s.upper[s.upper_begin(s.first_on_level(1))] = bad; }) == "upper");
    CHECK(blamed([&](Sections& s) { s.upper[s.upper_begin(s.first_on_level(2)) + kM] = bad; }) == "upper");
  }
}

TEST_CASE("a node that is its own neighbour is refused") {
  CHECK(blamed([](Sections& s) { s.base[17 * 2 * kM] = 17; }) == "base");
  CHECK(blamed([](Sections& s) {
          const std::size_t slot = s.first_on_level(1);
          s.upper[s.upper_begin(slot)] = static_cast<Slot>(slot);
        }) == "upper");
}

TEST_CASE("an upper edge to a node of a lower level is refused") {
  CHECK(blamed([](Sections& s) {
          s.upper[s.upper_begin(s.first_on_level(1))] = static_cast<Slot>(s.first_on_level(0));
        }) == "upper");
  CHECK(blamed([](Sections& s) {
          s.upper[s.upper_begin(s.first_on_level(2)) + kM] = static_cast<Slot>(s.first_on_level(1));
        }) == "upper");
}

TEST_CASE("an edge to a slot that is not in the graph is refused") {
  CHECK(blamed([](Sections& s) {
          const std::size_t slot = s.first_on_level(0);
          s.levels[slot] = kNoLevel;
          s.set(40, std::uint64_t{kRows - 1});
        }) == "base");
}

TEST_CASE("something behind the last neighbour is refused") {
  CHECK(blamed([](Sections& s) {
          std::fill_n(s.base.begin(), 2 * kM, kAbsentSlot);
          s.base[2 * kM - 1] = 1;
        }) == "base");
}

TEST_CASE("a wrong edge is found in every part of a graph that several threads check") {
  constexpr std::size_t kMany = 13'000;
  const Sections good = good_sections(kMany);
  CHECK(blamed(good, [](Sections&) {}) == "");
  for (const std::size_t slot : {0U, 4095U, 4096U, 8191U, 12'287U, 12'288U, 12'999U}) {
    const std::size_t row = slot * 2 * kM;
    CHECK(blamed(good, [&](Sections& s) { s.base[row] = Slot{kMany}; }) == "base");
    CHECK(blamed(good, [&](Sections& s) { s.base[row] = static_cast<Slot>(slot); }) == "base");
    CHECK(blamed(good, [&](Sections& s) { s.base[row] = kAbsentSlot; }) == "base");
  }
  CHECK(blamed(good, [](Sections& s) { s.upper.front() = Slot{kMany}; }) == "upper");
  CHECK(blamed(good, [](Sections& s) { s.upper.back() = Slot{kMany}; }) == "upper");
}

TEST_CASE("levels that do not fit the rows of the upper levels are refused") {
  CHECK(blamed([](Sections& s) { s.levels[s.first_on_level(0)] = 1; }) == "upper");
  CHECK(blamed([](Sections& s) { s.levels[s.first_on_level(1)] = 0; }) == "upper");
  CHECK(blamed([](Sections& s) { s.upper.resize(s.upper.size() - kM); }) == "upper");
  CHECK(blamed([](Sections& s) { s.upper.resize(s.upper.size() + kM); }) == "upper");
  CHECK(blamed([](Sections& s) { s.upper.clear(); }) == "upper");
}

TEST_CASE("a level above the highest there can be is refused") {
  for (const unsigned level : {31U, 60U, 254U}) {
    CHECK(blamed([&](Sections& s) { s.levels[5] = static_cast<unsigned char>(level); }) == "levels");
  }
}

TEST_CASE("levels exchanged between nodes are refused") {
  CHECK(blamed([](Sections& s) { std::swap(s.levels[s.first_on_level(0)], s.levels[s.first_on_level(1)]); }) != "");
  CHECK(blamed([](Sections& s) { std::swap(s.levels[s.first_on_level(1)], s.levels[s.first_on_level(2)]); }) != "");
}

TEST_CASE("numbers of slots and nodes that do not fit the sections are refused") {
  for (const std::uint64_t covered : {std::uint64_t{0}, std::uint64_t{kRows - 1}, std::uint64_t{kRows + 1}, kMaxSlots,
                                      kMaxSlots + 1, ~std::uint64_t{0}}) {
    CHECK(blamed([&](Sections& s) { s.set(32, covered); }) != "");
  }
  for (const std::uint64_t nodes :
       {std::uint64_t{0}, std::uint64_t{kRows - 1}, std::uint64_t{kRows + 1}, ~std::uint64_t{0}}) {
    CHECK(blamed([&](Sections& s) { s.set(40, nodes); }) != "");
  }
}

TEST_CASE("parameters out of range are refused") {
  for (const std::uint32_t M : {0U, 1U, 2U, 4U, 1025U, 0xffffffffU}) {
    CHECK(blamed([&](Sections& s) { s.set(0, M); }) != "");
  }
  CHECK(blamed([](Sections& s) { s.set(4, 0U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(4, 100'001U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(8, 0U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(8, 65'536U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(12, 4U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(12, 0xffffffffU); }) == "params");
}

TEST_CASE("an entry point or top level that is not the graph's is refused") {
  CHECK(blamed([](Sections& s) { s.set(16, s.param(16) + 1); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(16, s.param(16) - 1); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(20, (s.param(20) + 1) % kRows); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(20, kAbsentSlot); }) == "params");
}

TEST_CASE("sections of any other length are refused") {
  CHECK(blamed([](Sections& s) { s.params.pop_back(); }) == "params");
  CHECK(blamed([](Sections& s) { s.params.push_back(0); }) == "params");
  CHECK(blamed([](Sections& s) { s.params.clear(); }) == "params");
  CHECK(blamed([](Sections& s) { s.levels.pop_back(); }) == "levels");
  CHECK(blamed([](Sections& s) { s.levels.push_back(0); }) == "levels");
  CHECK(blamed([](Sections& s) { s.base.pop_back(); }) == "base");
  CHECK(blamed([](Sections& s) { s.base.clear(); }) == "base");
}

TEST_CASE("a snapshot without one of its sections is refused") {
  const TemporaryFolder folder;
  const Sections good = good_sections();
  const std::vector<Section> all = good.list();
  for (const Section& missing : all) {
    std::vector<Section> some;
    for (const Section& section : all) {
      if (section.tag != missing.tag) some.push_back(section);
    }
    const std::string path = folder.file(std::string(missing.tag).c_str());
    write_container(path, {}, some);
    CHECK_THROWS_AS(Hnsw::load(path), Corrupted);
  }
}

TEST_CASE("whatever random edges a snapshot has, it is refused or can be searched and extended") {
  const Vectors vectors = testing::clustered_vectors(Metric::kL2, kRows + 20, 3, 1);
  const Sections good = good_sections();
  testing::Random random(1);
  std::size_t accepted = 0;
  for (int round = 0; round < 300; ++round) {
    Sections forged = good;
    for (int change = 0; change < 4; ++change) {
      forged.base[random.below(forged.base.size())] = static_cast<Slot>(random.below(kRows + 1));
      if (round % 2 == 0) forged.upper[random.below(forged.upper.size())] = static_cast<Slot>(random.below(kRows));
    }
    const TemporaryFolder folder;
    write_container(folder.file("forged"), {}, forged.list());
    try {
      const auto graph = Hnsw::load(folder.file("forged"));
      testing::extend(*graph, vectors.view());
      testing::search_graph(*graph, vectors.view(), vectors, {}, testing::with_ef(20));
      ++accepted;
    } catch (const Corrupted&) {
    }
  }
  CHECK(accepted > 0);
  CHECK(accepted < 300);
}

}  // namespace
}  // namespace vdb
