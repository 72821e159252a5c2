#include <doctest/doctest.h>

#include <filesystem>

#include "answer.h"
#include "base/error.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

using testing::BytePatch;
using testing::clustered_vectors;
using testing::extend;
using testing::kMetrics;
using testing::put_file;
using testing::read_file;
using testing::search_graph;
using testing::TemporaryFolder;
using testing::Vectors;
using testing::with_ef;

using Content = std::vector<unsigned char>;

const Content kIdentity{1, 2, 3, 0, 5};

// Saves, loads, and saves again: the bytes of both files must agree.
std::unique_ptr<Hnsw> round_trip(Hnsw& graph) {
  const TemporaryFolder folder;
  const std::uint64_t length = graph.save(folder.file("a"), kIdentity);
  CHECK(length == std::filesystem::file_size(folder.file("a")));
  std::unique_ptr<Hnsw> loaded = Hnsw::load(folder.file("a"));
  loaded->save(folder.file("b"), kIdentity);
  CHECK((read_file(folder.file("a")) == read_file(folder.file("b"))));
  return loaded;
}

bool loads(const std::string& path) {
  try {
    static_cast<void>(Hnsw::load(path));
  } catch (const Corrupted&) {
    return false;
  }
  return true;
}

TEST_CASE("a loaded graph is the one that was saved: parameters, edges, answers and counts") {
  for (const Metric metric : kMetrics) {
    const Vectors vectors = clustered_vectors(metric, 700, 6, 1);
    Hnsw graph({6, metric, 5, 30, 77});
    extend(graph, vectors.view(), 0);
    const auto loaded = round_trip(graph);
    CHECK(loaded->params().dim == 6);
    CHECK(loaded->params().metric == metric);
    CHECK(loaded->params().M == 5);
    CHECK(loaded->params().ef_construction == 30);
    CHECK(loaded->params().seed == 77);
    CHECK(loaded->identity() == kIdentity);
    CHECK(loaded->covered() == 700);
    CHECK(loaded->nodes() == 700);
    CHECK(loaded->max_level() == graph.max_level());
    const auto before = search_graph(graph, vectors.view(), vectors, {}, with_ef(20));
    const auto after = search_graph(*loaded, vectors.view(), vectors, {}, with_ef(20));
    CHECK((before == after));
    CHECK(before.stats.distances == after.stats.distances);
  }
}

TEST_CASE("a loaded graph grows as the saved one would have") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 900, 6, 1);
  Hnsw graph({6, Metric::kL2, 5, 30, 77});
  extend(graph, vectors.first(500));
  const auto loaded = round_trip(graph);
  const TemporaryFolder folder;
  for (Hnsw* each : {&graph, loaded.get()}) {
    extend(*each, vectors.first(700));
    extend(*each, vectors.view(), 0);
  }
  graph.save(folder.file("a"), {});
  loaded->save(folder.file("b"), {});
  CHECK((read_file(folder.file("a")) == read_file(folder.file("b"))));
}

TEST_CASE("a loaded graph answers and grows when its snapshot is removed or replaced, and never changes it") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 900, 6, 1);
  Hnsw graph({6, Metric::kL2, 5, 30, 77});
  extend(graph, vectors.first(700));
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  graph.save(path, {});
  const Content saved = read_file(path);
  const auto kept = Hnsw::load(path);
  const auto loaded = Hnsw::load(path);
  extend(*kept, vectors.view());
  CHECK(read_file(path) == saved);

  put_file(folder.file("b"), Content(saved.size(), 0xff));
  std::filesystem::rename(folder.file("b"), path);
  CHECK_FALSE(loads(path));
  std::filesystem::remove(path);
  CHECK((search_graph(*loaded, vectors.first(700), vectors, {}, with_ef(20)) ==
         search_graph(graph, vectors.first(700), vectors, {}, with_ef(20))));
  extend(graph, vectors.view());
  extend(*loaded, vectors.view());
  graph.save(folder.file("c"), {});
  loaded->save(folder.file("d"), {});
  CHECK((read_file(folder.file("c")) == read_file(folder.file("d"))));
}

TEST_CASE("a search below a limit answers the same after loading") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 800, 6, 1);
  Hnsw graph({6, Metric::kL2, 3, 30, 77});
  extend(graph, vectors.view());
  const auto loaded = round_trip(graph);
  for (const std::size_t limit : {1U, 5U, 60U, 400U}) {
    const HnswSearch how{20, 20, 0, limit};
    CHECK((search_graph(graph, vectors.view(), vectors, {}, how) ==
           search_graph(*loaded, vectors.view(), vectors, {}, how)));
  }
}

TEST_CASE("graphs without nodes and with few are saved and loaded") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 40, 3, 1);
  Hnsw empty({3, Metric::kL2, 4, 10, 1});
  CHECK(round_trip(empty)->covered() == 0);

  const RowSet none = RowSet::none(40);
  Hnsw covering({3, Metric::kL2, 4, 10, 1});
  extend(covering, vectors.view(), 1, &none);
  CHECK(round_trip(covering)->covered() == 40);

  const RowSet one = RowSet::from_range(17, 18, 40);
  Hnsw single({3, Metric::kL2, 4, 10, 1});
  extend(single, vectors.view(), 1, &one);
  const auto loaded = round_trip(single);
  CHECK(loaded->nodes() == 1);
  CHECK(search_graph(*loaded, vectors.view(), vectors, {}, with_ef(5)).found(0) == std::vector<Slot>{17});
}

TEST_CASE("a snapshot with rows that are not in the graph keeps them out") {
  const Vectors vectors = clustered_vectors(Metric::kL2, 300, 3, 1);
  std::vector<Slot> slots;
  for (Slot slot = 2; slot < 300; slot += 7) slots.push_back(slot);
  const RowSet rows = RowSet::from_slots(slots, 300);
  Hnsw graph({3, Metric::kL2, 4, 10, 1});
  extend(graph, vectors.view(), 1, &rows);
  const auto loaded = round_trip(graph);
  CHECK(loaded->nodes() == slots.size());
  CHECK_THROWS_AS(loaded->neighbors(3, 0), InvalidArgument);
}

TEST_CASE("a snapshot is not written over a file, and not read from nothing") {
  const TemporaryFolder folder;
  Hnsw graph({3, Metric::kL2, 4, 10, 1});
  graph.save(folder.file("a"), {});
  CHECK_THROWS_AS(graph.save(folder.file("a"), {}), IoError);
  CHECK(loads(folder.file("a")));
  CHECK_THROWS_AS(Hnsw::load(folder.file("b")), IoError);
  CHECK_THROWS_AS(graph.save(folder.file("c"), Content(1985)), InvalidArgument);
  CHECK_FALSE(std::filesystem::exists(folder.file("c")));
}

// A graph with several levels, small enough to be damaged byte by byte.
std::string save_small(const TemporaryFolder& folder) {
  const Vectors vectors = clustered_vectors(Metric::kL2, 60, 3, 1);
  Hnsw graph({3, Metric::kL2, 3, 10, 5});
  extend(graph, vectors.view());
  REQUIRE(graph.max_level() >= 2);
  graph.save(folder.file("small"), kIdentity);
  return folder.file("small");
}

TEST_CASE("no byte of a snapshot can be changed unnoticed") {
  const TemporaryFolder folder;
  const std::string path = save_small(folder);
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
}

TEST_CASE("a snapshot cut anywhere is refused") {
  const TemporaryFolder folder;
  const std::string path = save_small(folder);
  std::size_t accepted = 0;
  for (std::size_t size = std::filesystem::file_size(path); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    accepted += loads(path) ? 1U : 0U;
  }
  CHECK(accepted == 0);
}

TEST_CASE("pieces of two snapshots do not make one") {
  const TemporaryFolder folder;
  const std::string path = save_small(folder);
  const Content one = read_file(path);
  std::filesystem::remove(path);
  Hnsw other({3, Metric::kL2, 3, 10, 6});
  extend(other, clustered_vectors(Metric::kL2, 60, 3, 2).view());
  other.save(path, kIdentity);
  const Content two = read_file(path);
  std::size_t accepted = 0;
  for (std::size_t cut = 64; cut < std::min(one.size(), two.size()); cut += 64) {
    Content mixed(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(cut));
    mixed.insert(mixed.end(), two.begin() + static_cast<std::ptrdiff_t>(cut), two.end());
    if (mixed == one || mixed == two) continue;
    put_file(path, mixed);
    accepted += loads(path) ? 1U : 0U;
  }
  CHECK(accepted == 0);
}

}  // namespace
}  // namespace vdb
