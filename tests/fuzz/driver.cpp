// The entry points of libFuzzer for one loader, VDB_FUZZ_LOADER.
#include <cstdint>
#include <filesystem>
#include <string>

#include "forge.h"
#include "temporary_folder.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t room);

namespace vdb::fuzz {
namespace {

// A load takes a tenth of a millisecond, a search or a life of an index many times that.
constexpr Shares kShares{16, 256};

const Loader& loader() { return VDB_FUZZ_LOADER; }

// In memory where the system has such a folder: a disk would have to flush each file.
const std::string& folder() {
  constexpr const char* kMemory = "/dev/shm";
  const bool is_there = std::filesystem::is_directory(kMemory);
  static const testing::TemporaryFolder made(is_there ? kMemory : std::filesystem::temp_directory_path());
  static const std::string path = made.file("");
  return path;
}

std::size_t fit(const Forged& forged, std::uint8_t* data, std::size_t room) {
  const Content bytes = encode(forged);
  const std::size_t size = std::min(bytes.size(), room);
  std::copy_n(bytes.begin(), size, data);
  return size;
}

}  // namespace
}  // namespace vdb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vdb::fuzz;
  static_cast<void>(try_load(loader(), decode(loader(), {data, size}), folder(), kShares));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t room, unsigned seed) {
  using namespace vdb::fuzz;
  Random random(seed);
  Forged forged = decode(loader(), {data, size});
  const auto mutate = [&](Content& bytes) {
    const std::size_t length = bytes.size();
    bytes.resize(length + 16);
    bytes.resize(LLVMFuzzerMutate(bytes.data(), length, bytes.size()));
  };
  for (std::size_t changes = 1 + random.below(3); changes > 0; --changes) change(loader(), forged, random, mutate);
  return fit(forged, data, room);
}

// Pieces of either.
extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size, std::uint8_t* out,
                                                 std::size_t room, unsigned seed) {
  using namespace vdb::fuzz;
  Random random(seed);
  Forged forged = decode(loader(), {one, one_size});
  const Forged second = decode(loader(), {other, other_size});
  for (std::size_t i = 0; i < std::min(forged.size(), second.size()); ++i) {
    if (random.below(3) == 0) forged[i] = second[i];
  }
  return fit(forged, out, room);
}
