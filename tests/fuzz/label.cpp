// Overlays of labels.
#include <vector>

#include "forge.h"
#include "index/label/label_cases.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

constexpr const char* kTags[] = {"params", "overlays", "entries", "heads", "links", "edges"};

std::vector<Forged> seeds() {
  const testing::TemporaryFolder folder;
  std::vector<Forged> forged;
  for (const std::size_t n : {90U, 60U, 0U}) {
    const Metric metric = testing::kMetrics[forged.size()];
    LabelGraph graph({4, metric, 2, 10, 5, 8});
    if (n > 0) testing::extend(graph, rows_of(metric, 4), testing::make_lists(n, 3));
    const std::string path = folder.file(std::to_string(n).c_str());
    graph.save(path, {});
    forged.push_back(read_sections(kLabel, path));
  }
  return forged;
}

void search(LabelGraph& graph, const testing::Vectors& rows, std::size_t n) {
  const testing::Vectors queries(rows.metric, rows.dim, {rows.row(0), rows.row(2)});
  const RowSet some = RowSet::from_range(n / 2, n, n);
  std::vector<std::uint32_t> labels = graph.labels();
  labels.resize(std::min<std::size_t>(labels.size(), 4));
  testing::search_labels(graph, rows.first(n), queries, {labels, 10}, {5});
  testing::search_labels(graph, rows.first(n), queries, {labels, 10, 20, 100}, {5, &some});
}

void grow(LabelGraph& graph, const testing::Vectors& rows, std::size_t n) {
  testing::extend(graph, rows, testing::make_lists(n, 4), nullptr, 1, true);
}

void use(const std::string& path, Depth depth) {
  const auto graph = LabelGraph::load(path);
  live(*graph, {path, depth, graph->covered(), grows_fast(graph->params())}, search, grow);
}

}  // namespace

const Loader kLabel{"label", kTags, seeds, write_sections, use};

}  // namespace vdb::fuzz
