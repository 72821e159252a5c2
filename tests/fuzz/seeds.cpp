// vdb_fuzz_seeds FOLDER: writes what the fuzzers start from, FOLDER/<loader>/<number>.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "forge.h"

int main(int argc, char** argv) {
  using namespace vdb::fuzz;
  if (argc != 2) {
    std::fprintf(stderr, "usage: vdb_fuzz_seeds FOLDER\n");
    return 2;
  }
  for (const Loader* loader : {&kCells, &kCodes, &kContainer, &kHnsw, &kIvf, &kLabel, &kRange}) {
    const std::filesystem::path folder = std::filesystem::path(argv[1]) / loader->name;
    std::filesystem::create_directories(folder);
    std::size_t number = 0;
    for (const Forged& seed : loader->seeds()) {
      const Content bytes = encode(seed);
      std::ofstream out(folder / std::to_string(number++), std::ios::binary);
      out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      if (!out.flush()) return 1;
    }
  }
  return 0;
}
