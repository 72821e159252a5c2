// Codes of every kind: the codec, which says how long a record is, and the records.
#include <vector>

#include "answer.h"
#include "codec/code_store.h"
#include "forge.h"
#include "index/flat/code_scan.h"
#include "temporary_folder.h"

namespace vdb::fuzz {
namespace {

constexpr const char* kTags[] = {"codes", "codec", "records", "rest"};

// The directions of a projection: the first half of the axes.
Basis axes(const TrainingRows& sample) {
  const std::size_t width = (sample.dim + 1) / 2;
  std::vector<float> directions(width * sample.dim, 0);
  for (std::size_t i = 0; i < width; ++i) directions[i * sample.dim + i] = 1;
  return {std::move(directions), width, false};
}

void extend(CodeStore& codes, const VectorView& view) {
  CancelToken token;
  codes.extend(view, {nullptr, 1, &token, {}});
}

CodeParams params_of(CodecKind kind, std::size_t dim, std::size_t bits = 0, std::size_t m = 0) {
  return {.kind = kind, .dim = dim, .metric = Metric::kL2, .bits = bits, .m = m, .find_basis = axes};
}

std::vector<Forged> seeds() {
  std::vector<CodeParams> kinds{params_of(CodecKind::kSq8, 5),        params_of(CodecKind::kRabitq, 5, 1),
                                params_of(CodecKind::kRabitq, 6, 3),  params_of(CodecKind::kPq, 4, 4, 2),
                                params_of(CodecKind::kPq, 3, 4, 3),   params_of(CodecKind::kPq, 2, 8, 1),
                                params_of(CodecKind::kProjection, 6), params_of(CodecKind::kRabitq, 6, 2)};
  kinds[0].aligned = true;
  kinds[7].aligned = true;
  kinds[1].metric = Metric::kCosine;
  kinds[2].metric = Metric::kInnerProduct;
  kinds[4].opq = true;
  const testing::TemporaryFolder folder;
  std::vector<Forged> forged;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    CodeStore codes(kinds[i]);
    extend(codes, rows_of(kinds[i].metric, kinds[i].dim).first(40));
    const std::string path = folder.file(std::to_string(i).c_str());
    codes.save(path, {});
    forged.push_back(read_sections(kCodes, path));
  }
  return forged;
}

void scan_both(const CodeStore& codes, const testing::Vectors& rows, std::size_t n) {
  testing::Answer answer(3, 5);
  CancelToken token;
  const RowSet some = RowSet::from_range(n / 3, n, n);
  for (const RowSet* allowed : {static_cast<const RowSet*>(nullptr), &some}) {
    const QueryBatch batch{rows.bytes(), 3, 5, allowed, 1, &token};
    scan_codes(codes.snapshot(), rows.first(n), batch, 0, {answer.slots.data(), answer.distances.data()});
  }
}

void use(const std::string& path, Depth depth) {
  const auto codes = CodeStore::load(path, axes);
  must([&] {
    if (depth == Depth::kLoad) return;
    if (depth == Depth::kLife) save_and_load(*codes, path);
    const CodeParams& params = codes->params();
    if (params.dim > kMostDims || codes->covered() > kMostRows || codes->covered() == 0) return;
    const testing::Vectors& rows = rows_of(params.metric, params.dim);
    scan_both(*codes, rows, codes->covered());
    if (depth != Depth::kLife) return;
    scan_both(*codes, rows, codes->covered() + kMoreRows);
    extend(*codes, rows.first(codes->covered() + kMoreRows));
    scan_both(*codes, rows, codes->covered());
  });
}

}  // namespace

const Loader kCodes{"codes", kTags, seeds, write_sections, use};

}  // namespace vdb::fuzz
