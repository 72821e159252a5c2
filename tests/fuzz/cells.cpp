// Cells as an index keeps them: the sections of their own, without the index.
#include <vector>

#include "forge.h"
#include "index/cells/cells.h"
#include "index/cells/population.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

constexpr const char* kTags[] = {"cells", "centroid", "cellof"};

void place(Cells& cells, const VectorView& view) {
  CancelToken token;
  cells.extend(view, {nullptr, 1, &token});
}

void save(const Cells& cells, const std::string& path) {
  std::filesystem::remove(path);
  write_container(path, {}, cells.image().sections());
}

std::vector<Forged> seeds() {
  const testing::TemporaryFolder folder;
  std::vector<Forged> forged;
  for (const Metric metric : testing::kMetrics) {
    Cells cells({4, metric, 5, 42});
    if (metric != Metric::kCosine) place(cells, rows_of(metric, 4).first(80));  // the others have no row yet
    save(cells, folder.file("cells"));
    forged.push_back(read_sections(kCells, folder.file("cells")));
  }
  return forged;
}

void find_seeds(const Cells& cells, const testing::Vectors& rows, const RowSet& allowed) {
  constexpr std::size_t kWanted = 8;
  constexpr std::size_t kQueries = 2;
  std::vector<Slot> slots(kQueries * kWanted);
  std::vector<float> density(kQueries);
  CancelToken token;
  const Population population(cells.snapshot(), allowed);
  population.seeds(rows.view(), {rows.bytes(), kQueries, kWanted, nullptr, 1, &token}, {slots.data(), density.data()});
}

void use(const std::string& path, Depth depth) {
  const auto cells = Cells::restore(Container::read(path));
  if (!cells) return;
  must([&] {
    if (depth == Depth::kLoad) return;
    if (depth == Depth::kLife) {
      save(*cells, path + ".again");
      static_cast<void>(Cells::restore(Container::read(path + ".again")));
    }
    if (cells->params().dim > kMostDims || cells->covered() > kMostRows) return;
    const testing::Vectors& rows = rows_of(cells->params().metric, cells->params().dim);
    find_seeds(*cells, rows, RowSet::all(cells->covered()));
    find_seeds(*cells, rows, RowSet::from_range(cells->covered() / 2, cells->covered(), cells->covered()));
    if (depth != Depth::kLife || cells->params().n > kMostCandidates) return;
    place(*cells, rows.first(cells->covered() + kMoreRows));
    find_seeds(*cells, rows, RowSet::all(cells->covered()));
  });
}

}  // namespace

const Loader kCells{"cells", kTags, seeds, write_sections, use};

}  // namespace vdb::fuzz
