#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "range_cases.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using namespace testing;

using Content = std::vector<unsigned char>;

constexpr std::size_t kRows = 300;
constexpr std::size_t kM = 4;

const Content kIdentity{1, 2, 3, 0, 5};

std::unique_ptr<RangeGraph> graph_of(const Vectors& vectors, const Keys& keys) {
  auto graph = std::make_unique<RangeGraph>(RangeParams{vectors.dim, vectors.metric, kM, 20, 77});
  extend(*graph, vectors.view(), keys);
  return graph;
}

bool loads(const std::string& path) {
  try {
    static_cast<void>(RangeGraph::load(path));
  } catch (const Corrupted&) {
    return false;
  }
  return true;
}

TEST_CASE("a loaded range graph is the one that was saved, and grows as it would") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, 900, 6, 1);
    const Keys keys = random_keys(900, 3, 2);
    RangeGraph graph({6, metric, 5, 30, 77});
    extend(graph, vectors.first(600), keys);
    const TemporaryFolder folder;
    graph.save(folder.file("a"), kIdentity);
    const auto loaded = RangeGraph::load(folder.file("a"));
    CHECK(loaded->params().dim == 6);
    CHECK(loaded->params().metric == metric);
    CHECK(loaded->params().M == 5);
    CHECK(loaded->params().ef_construction == 30);
    CHECK(loaded->params().seed == 77);
    CHECK(loaded->identity() == kIdentity);
    CHECK(loaded->covered() == 600);
    CHECK(loaded->nodes() == 600);
    for (RangeGraph* each : {&graph, loaded.get()}) extend(*each, vectors.view(), keys);
    const RangeSearch how = within(middle(keys, 400), 20);
    CHECK((search_range(graph, vectors.view(), vectors, {}, how) ==
           search_range(*loaded, vectors.view(), vectors, {}, how)));
    graph.save(folder.file("b"), {});
    loaded->save(folder.file("c"), {});
    CHECK((read_file(folder.file("b")) == read_file(folder.file("c"))));
  }
}

TEST_CASE("an empty range graph, and one without rows, are saved and loaded") {
  const TemporaryFolder folder;
  RangeGraph empty({3, Metric::kL2, 4, 10, 1});
  empty.save(folder.file("empty"), {});
  CHECK(RangeGraph::load(folder.file("empty"))->covered() == 0);
  const Vectors vectors = clustered_vectors(Metric::kL2, 40, 3, 1);
  const RowSet none = RowSet::none(40);
  extend(empty, vectors.view(), Keys(40), 1, &none);
  empty.save(folder.file("covering"), {});
  const auto loaded = RangeGraph::load(folder.file("covering"));
  CHECK(loaded->covered() == 40);
  CHECK(loaded->nodes() == 0);
}

TEST_CASE("no byte of a range snapshot can be changed unnoticed, and none can be missing") {
  const TemporaryFolder folder;
  const std::string path = folder.file("small");
  graph_of(clustered_vectors(Metric::kL2, 70, 3, 1), random_keys(70, 2, 2))->save(path, kIdentity);
  const Content good = read_file(path);
  BytePatch patch(path);
  testing::Random random(11);
  std::vector<std::size_t> unnoticed;
  for (std::size_t at = 0; at < good.size(); ++at) {
    patch.set(at, static_cast<unsigned char>(good[at] ^ (1 + random.below(255))));
    if (loads(path)) unnoticed.push_back(at);
    patch.set(at, good[at]);
  }
  CHECK(unnoticed == std::vector<std::size_t>{});
  CHECK(loads(path));
  std::size_t accepted = 0;
  for (std::size_t size = good.size(); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    accepted += loads(path) ? 1U : 0U;
  }
  CHECK(accepted == 0);
}

// The sections of a good snapshot, open to change: every checksum of what is made of them is right.
struct Sections {
  Content params;
  std::vector<std::int64_t> keys;
  std::vector<Slot> order;
  std::vector<std::vector<Slot>> layers;

  template <class T>
  void set(std::size_t at, T value) {
    std::memcpy(&params[at], &value, sizeof value);
  }
};

template <class T>
std::vector<T> copy(Bytes bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

std::string tag(std::size_t layer) { return "layer" + std::to_string(layer); }

Sections good_sections() {
  const TemporaryFolder folder;
  const auto graph = graph_of(clustered_vectors(Metric::kL2, kRows, 3, 1), random_keys(kRows, 2, 2));
  graph->save(folder.file("good"), {});
  const Container file = Container::read(folder.file("good"));
  Sections sections{copy<unsigned char>(file.section("params")),
                    copy<std::int64_t>(file.section("keys")),
                    copy<Slot>(file.section("order")),
                    {}};
  for (std::size_t layer = 0; layer < graph->layer_count(); ++layer) {
    sections.layers.push_back(copy<Slot>(file.section(tag(layer))));
  }
  return sections;
}

// The section a loader blames for the snapshot that `forge` makes of a good one; "" where it loads.
std::string blamed(const std::function<void(Sections&)>& forge) {
  static const Sections good = good_sections();
  Sections forged = good;
  forge(forged);
  std::vector<std::string> tags;
  for (std::size_t layer = 0; layer < forged.layers.size(); ++layer) tags.push_back(tag(layer));
  std::vector<Section> list{{"params", forged.params},
                            {"keys", bytes_of(std::span<const std::int64_t>(forged.keys))},
                            {"order", bytes_of(std::span<const Slot>(forged.order))}};
  for (std::size_t layer = 0; layer < tags.size(); ++layer) {
    list.push_back({tags[layer], bytes_of(std::span<const Slot>(forged.layers[layer]))});
  }
  const TemporaryFolder folder;
  write_container(folder.file("forged"), {}, list);
  try {
    static_cast<void>(RangeGraph::load(folder.file("forged")));
  } catch (const Corrupted& error) {
    CHECK(error.damage.path == folder.file("forged"));
    return error.damage.section;
  }
  return "";
}

TEST_CASE("snapshots made to deceive are refused") {
  CHECK(blamed([](Sections&) {}) == "");
  for (const Slot bad : {Slot{kRows}, Slot{0x80000000U}, kAbsentSlot - 1, Slot{17}}) {
    CHECK(blamed([&](Sections& s) { s.layers[0][17 * kM] = bad; }) == "layer0");
    CHECK(blamed([&](Sections& s) { s.layers[1][17 * kM] = bad; }) == "layer1");
  }
  CHECK(blamed([](Sections& s) {
          std::fill_n(s.layers[1].begin(), kM, kAbsentSlot);
          s.layers[1][kM - 1] = 1;
        }) == "layer1");
  CHECK(blamed([](Sections& s) { s.layers[1].resize(kM); }) == "layer1");
  CHECK(blamed([](Sections& s) { s.keys.pop_back(); }) == "keys");
  CHECK(blamed([](Sections& s) { s.keys[3] += 1000; }) == "order");
  CHECK(blamed([](Sections& s) { std::swap(s.order[0], s.order[kRows - 1]); }) == "order");
  CHECK(blamed([](Sections& s) { s.order[5] = s.order[4]; }) == "order");
  CHECK(blamed([](Sections& s) { s.order[kRows - 1] = kRows; }) == "order");
  CHECK(blamed([](Sections& s) { s.order.pop_back(); }) == "order");
}

TEST_CASE("parameters and numbers that do not fit are refused") {
  for (const std::uint32_t M : {0U, 1U, 3U, 5U, 1025U, 0xffffffffU}) {
    CHECK(blamed([&](Sections& s) { s.set(0, M); }) != "");
  }
  CHECK(blamed([](Sections& s) { s.set(4, 0U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(8, 0U); }) == "params");
  CHECK(blamed([](Sections& s) { s.set(12, 4U); }) == "params");
  for (const std::uint32_t layers : {0U, 3U, 14U, 0xffffffffU}) {
    CHECK(blamed([&](Sections& s) { s.set(16, layers); }) != "");
  }
  CHECK(blamed([](Sections& s) { s.set(20, 1U); }) == "params");
  for (const std::uint64_t slots : {std::uint64_t{kRows - 1}, std::uint64_t{kRows + 1}, ~std::uint64_t{0}}) {
    CHECK(blamed([&](Sections& s) { s.set(32, slots == kRows - 1 ? slots + 2 : slots); }) == "params");  // covered
    CHECK(blamed([&](Sections& s) { s.set(40, slots); }) != "");
    CHECK(blamed([&](Sections& s) { s.set(48, slots); }) != "");
  }
}

}  // namespace
}  // namespace vdb
