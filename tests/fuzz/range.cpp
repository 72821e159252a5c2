// Graphs over an ordered column.
#include <limits>
#include <vector>

#include "forge.h"
#include "index/range/range_cases.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

constexpr const char* kTags[] = {"params", "keys", "order", "layer0", "layer1", "layer2", "layer3"};

std::vector<Forged> seeds() {
  const testing::TemporaryFolder folder;
  std::vector<Forged> forged;
  for (const std::size_t n : {40U, 150U, 0U}) {
    const Metric metric = testing::kMetrics[forged.size()];
    RangeGraph graph({4, metric, 3, 10, 5});
    const RowSet some = RowSet::all(n) - RowSet::from_range(n / 4, n / 3, n);  // slots without a node
    testing::extend(graph, rows_of(metric, 4).first(n), testing::random_keys(n, 2, 3), 1, &some);
    const std::string path = folder.file(std::to_string(n).c_str());
    graph.save(path, {});
    forged.push_back(read_sections(kRange, path));
  }
  return forged;
}

void search(RangeGraph& graph, const testing::Vectors& rows, std::size_t n) {
  constexpr testing::KeyRange kAll{std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  const testing::Vectors queries(rows.metric, rows.dim, {rows.row(0), rows.row(2)});
  for (const testing::KeyRange& range : {kAll, testing::KeyRange{-10, 20}, testing::KeyRange{3, 3}}) {
    testing::search_range(graph, rows.first(n), queries, {5}, testing::within(range, 10));
  }
}

void grow(RangeGraph& graph, const testing::Vectors& rows, std::size_t n) {
  testing::extend(graph, rows.first(n), testing::random_keys(n, 2, 4));
}

void use(const std::string& path, Depth depth) {
  const auto graph = RangeGraph::load(path);
  live(*graph, {path, depth, graph->covered(), grows_fast(graph->params())}, search, grow);
}

}  // namespace

const Loader kRange{"range", kTags, seeds, write_sections, use};

}  // namespace vdb::fuzz
