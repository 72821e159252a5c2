// Inverted files of every kind of code.
#include <vector>

#include "forge.h"
#include "index/ivf/ivf_cases.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

constexpr const char* kTags[] = {"params", "codec", "centroid", "lists", "blocks", "extra", "slots"};

std::vector<Forged> seeds() {
  constexpr std::size_t kRows = 60;
  const testing::TemporaryFolder folder;
  std::vector<Forged> forged;
  for (const testing::Kind& kind : testing::kinds()) {
    const Metric metric = testing::kMetrics[forged.size() % 3];
    Ivf index(kind.params(6, metric, 3));
    if (forged.size() != 1) testing::extend(index, rows_of(metric, 6).first(kRows));  // that one has no row yet
    const std::string path = folder.file(std::to_string(forged.size()).c_str());
    index.save(path, {});
    forged.push_back(read_sections(kIvf, path));
  }
  return forged;
}

void search(const Ivf& index, const testing::Vectors& rows, std::size_t n) {
  const testing::Vectors queries(rows.metric, rows.dim, {rows.row(0), rows.row(2)});
  const RowSet some = RowSet::from_range(n / 2, n, n);
  testing::search_ivf(index, rows.first(n), queries, {5}, testing::probing(2));
  testing::search_ivf(index, rows.first(n), queries, {5, &some}, testing::probing(1, 4));
  testing::search_ivf(index, rows.first(n), queries, {5, &some}, testing::reading_all());
}

void grow(Ivf& index, const testing::Vectors& rows, std::size_t n) { testing::extend(index, rows.first(n)); }

void repair(Ivf& index, const testing::Vectors& rows, std::size_t n) {
  testing::repair(index, rows.first(n), RowSet::from_range((n - kMoreRows) / 2, n, n));
}

void use(const std::string& path, Depth depth) {
  const auto index = Ivf::load(path);
  live(*index, {path, depth, index->state()->covered, true}, search, grow, repair);
}

}  // namespace

const Loader kIvf{"ivf", kTags, seeds, write_sections, use};

}  // namespace vdb::fuzz
