// What the fuzzers of tests/fuzz begin with, changed by a fixed seed: a file is refused, or what was loaded from it can
// be used. The sanitizers look on in `make asan`.
#include <doctest/doctest.h>

#include "forge.h"
#include "temporary_folder.h"

namespace vdb {
namespace {

constexpr std::size_t kChangesOfSeed = 300;

TEST_CASE("a file that was changed in few places is refused, or what was loaded from it works") {
  for (const fuzz::Loader* loader :
       {&fuzz::kCells, &fuzz::kCodes, &fuzz::kContainer, &fuzz::kHnsw, &fuzz::kIvf, &fuzz::kLabel, &fuzz::kRange}) {
    CAPTURE(loader->name);
    const testing::TemporaryFolder folder;
    testing::Random random(1);
    std::size_t loaded = 0;
    std::size_t refused = 0;
    for (const fuzz::Forged& seed : loader->seeds()) {
      CHECK(fuzz::try_load(*loader, seed, folder.file("")));
      CHECK(fuzz::encode(fuzz::decode(*loader, fuzz::encode(seed))) == fuzz::encode(seed));
      for (std::size_t i = 0; i < kChangesOfSeed; ++i) {
        fuzz::Forged forged = seed;
        for (std::size_t changes = 1 + random.below(3); changes > 0; --changes) fuzz::change(*loader, forged, random);
        ++(fuzz::try_load(*loader, forged, folder.file("")) ? loaded : refused);
      }
    }
    CHECK(loaded > kChangesOfSeed / 20);
    CHECK(refused > kChangesOfSeed / 2);
  }
}

}  // namespace
}  // namespace vdb
