// Graphs of both edge rules, walked by vectors and by codes, with packed neighbours and with cells.
#include <utility>
#include <vector>

#include "answer.h"
#include "forge.h"
#include "index/cells/cells.h"
#include "index/hnsw/hnsw.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

constexpr const char* kTags[] = {"params", "levels",  "base", "upper", "acorn",    "packed", "codes",
                                 "codec",  "records", "rest", "cells", "centroid", "cellof"};

std::vector<HnswParams> kinds() {
  std::vector<HnswParams> all(6, HnswParams{4, Metric::kL2, 3, 10, 5});
  all[1].metric = Metric::kCosine;
  all[1].codes = CodecKind::kSq8;
  all[2].metric = Metric::kInnerProduct;
  all[2].codes = CodecKind::kRabitq;
  all[2].code_bits = 1;
  all[3].codes = CodecKind::kRabitq;
  all[3].code_bits = 2;
  all[3].packed = true;
  all[4].gamma = 2;
  all[4].m_beta = 4;
  all[5].gamma = 3;
  all[5].m_beta = 2;
  all[5].codes = CodecKind::kSq8;
  all[5].metric = Metric::kCosine;
  return all;
}

std::vector<Forged> seeds() {
  constexpr std::size_t kRows = 50;
  const testing::TemporaryFolder folder;
  std::vector<Forged> forged;
  for (const HnswParams& params : kinds()) {
    const testing::Vectors& rows = rows_of(params.metric, params.dim);
    const RowSet some = RowSet::all(kRows) - RowSet::from_range(7, 9, kRows);  // slots without a node
    Hnsw graph(params);
    testing::extend(graph, rows.first(kRows), 1, &some);
    Cells cells({params.dim, params.metric, 3});
    CancelToken token;
    cells.extend(rows.first(kRows), {&some, 1, &token});
    const std::string path = folder.file(std::to_string(forged.size()).c_str());
    if (forged.size() % 2 == 0) {
      graph.save(path, {});
    } else {
      graph.save(path, {}, cells.image().sections());
    }
    forged.push_back(read_sections(kHnsw, path));
  }
  return forged;
}

void search(Hnsw& graph, const testing::Vectors& rows, std::size_t n) {
  const testing::Vectors queries(rows.metric, rows.dim, {rows.row(0), rows.row(2)});
  const RowSet some = RowSet::from_range(n / 2, n, n);
  const std::vector<Slot> begin{0, static_cast<Slot>(n / 2), kAbsentSlot, 1, 2, static_cast<Slot>(n)};
  testing::search_graph(graph, rows.first(n), queries, {5}, testing::with_ef(10));
  for (const Arm arm : {Arm::kPlain, Arm::kAdaptive, Arm::kTwoHop, Arm::kPost, Arm::kAcorn}) {
    if (arm == Arm::kAcorn && graph.params().gamma == 0) continue;
    testing::search_graph(graph, rows.first(n), queries, {5, &some}, {10, 20, 200, n, arm, {begin.data(), 3}});
  }
}

void grow(Hnsw& graph, const testing::Vectors& rows, std::size_t n) { testing::extend(graph, rows.first(n)); }

void repair(Hnsw& graph, const testing::Vectors& rows, std::size_t n) {
  const RowSet alive = RowSet::from_range((n - kMoreRows) / 2, n, n);
  CancelToken token;
  while (!graph.repair(rows.first(n), {&alive, kMostRows, 1, &token})) {
  }
}

void use(const std::string& path, Depth depth) {
  const Container file = Container::read(path);
  const auto graph = Hnsw::restore(file);
  const auto cells = Cells::restore(file);
  const HnswParams& params = graph->params();
  const bool is_fast = grows_fast(params) && params.gamma <= kMostDims;
  live(*graph, {path, depth, graph->covered(), is_fast}, search, grow, repair);
}

}  // namespace

const Loader kHnsw{"hnsw", kTags, seeds, write_sections, use};

}  // namespace vdb::fuzz
