// Files made to deceive. A fuzzer sees a file as its pieces, one after the other; what guards them (checksums, lengths,
// offsets, padding) is made right when the pieces become a file, so that a change gets past it to what the loader
// reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "data.h"
#include "io/container.h"

namespace vdb::fuzz {

using Content = std::vector<unsigned char>;
using testing::Random;

// A section of a snapshot, or another part of a file that only a change of its own reaches.
struct Piece {
  std::size_t tag;  // its position among the tags of the loader
  Content data;
};
using Forged = std::vector<Piece>;

// What is done with a file: it is loaded, also searched, or also extended, repaired, saved and loaded again.
enum class Depth { kLoad, kSearch, kLife };

// One way to read a file, and to use what was read.
struct Loader {
  const char* name;
  std::span<const char* const> tags;
  // Good files, each of some kilobytes: where the fuzzer starts.
  std::vector<Forged> (*seeds)();
  void (*write)(const Loader& loader, const Forged& forged, const std::string& path);
  // Corrupted where the file is refused; nothing else is thrown.
  void (*use)(const std::string& path, Depth depth);
};

extern const Loader kCells;
extern const Loader kCodes;
extern const Loader kContainer;
extern const Loader kHnsw;
extern const Loader kIvf;
extern const Loader kLabel;
extern const Loader kRange;

// Any bytes are some file: of each piece u8 tag, u32 length, the data.
Forged decode(const Loader& loader, Bytes bytes);
Content encode(const Forged& forged);

// What changes the bytes of one piece: a fuzzer's own mutations, or none.
using Mutate = std::function<void(Content&)>;
// One change to one piece.
void change(const Loader& loader, Forged& forged, Random& random, const Mutate& mutate = {});

// A snapshot of the pieces as its sections: Loader::write of every index.
void write_sections(const Loader& loader, const Forged& forged, const std::string& path);
// The other way round.
Forged read_sections(const Loader& loader, const std::string& path);

// One in so many files is searched, and one in so many extended too.
struct Shares {
  std::uint32_t searched = 4;
  std::uint32_t lived = 16;
};

// Whether the file is loaded, where `folder` has room for it. What follows depends on its bytes: mostly nothing.
bool try_load(const Loader& loader, const Forged& forged, const std::string& folder, const Shares& shares = {});

// What is done with an index that was loaded; it must not fail.
template <class Work>
void must(const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    throw std::logic_error(std::string("what was loaded fails: ") + error.what());
  }
}

// An index is used where that takes microseconds: few rows of few dimensions, few candidates.
inline constexpr std::size_t kMostRows = 600;
inline constexpr std::size_t kMostDims = 40;
inline constexpr std::size_t kMostCandidates = 300;
inline constexpr std::size_t kMoreRows = 9;  // that come after a load

// kMostRows and kMoreRows clustered rows, the same for every call. Not of a caller's metric.
const testing::Vectors& rows_of(Metric metric, std::size_t dim);

// Saves to a file beside `path` and loads that: what was loaded can be saved, and is what was saved.
template <class Index>
void save_and_load(Index& index, const std::string& path) {
  const std::string beside = path + ".again";
  std::filesystem::remove(beside);
  index.save(beside, {});
  static_cast<void>(std::remove_const_t<Index>::load(beside));
}

// An index that was loaded, and whether it takes in rows within microseconds.
struct Life {
  const std::string& path;
  Depth depth;
  std::size_t covered;
  bool grows_fast;
};

// Whether a graph of these parameters does.
template <class Params>
bool grows_fast(const Params& params) {
  return params.ef_construction <= kMostCandidates && params.M <= kMostDims;
}

// What every index goes through, as far as life.depth says: search(index, rows, n) among the first n of some rows, and
// again after each step(index, rows, n), of which the first makes it cover those.
template <class Index, class Search, class... Steps>
void live(Index& index, const Life& life, Search search, Steps... steps) {
  must([&] {
    if (life.depth == Depth::kLoad) return;
    if (life.depth == Depth::kLife) save_and_load(index, life.path);
    const auto& params = index.params();
    if (params.metric == Metric::kCustom || params.dim > kMostDims || life.covered > kMostRows) return;
    const testing::Vectors& rows = rows_of(params.metric, params.dim);
    search(index, rows, life.covered);
    if (life.depth != Depth::kLife || !life.grows_fast) return;
    const std::size_t n = life.covered + kMoreRows;
    const auto take = [&](const auto& step) {
      step(index, rows, n);
      index.check(life.path);
      search(index, rows, n);
    };
    (take(steps), ...);
    save_and_load(index, life.path);
  });
}

}  // namespace vdb::fuzz
