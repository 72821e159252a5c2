#include "forge.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "base/error.h"
#include "io/checksum.h"

namespace vdb::fuzz {
namespace {

constexpr std::size_t kLengthBytes = sizeof(std::uint32_t);
constexpr std::size_t kMostPieces = 63;  // a snapshot's

// What lengths, numbers and slots are wrong by.
constexpr std::uint64_t kBorders[] = {0,
                                      1,
                                      2,
                                      0x7f,
                                      0xff,
                                      0xffff,
                                      0x10000,
                                      0x7fffffff,
                                      0x80000000,
                                      0xfffffffe,
                                      0xffffffff,
                                      0x100000000,
                                      0x3fffffffffff,
                                      ~std::uint64_t{0} >> 1,
                                      std::uint64_t{1} << 63,
                                      ~std::uint64_t{0}};
constexpr float kFloats[] = {0.0F, -0.0F, 1e-40F, 1e38F, -1e38F, 0x1p127F};

template <class T>
void overwrite(Content& data, std::size_t at, T value) {
  std::memcpy(&data[at], &value, std::min(sizeof value, data.size() - at));
}

// A number of 4 or 8 bytes where one may stand becomes one at a border, the next, or another of the piece.
void change_number(Content& data, Random& random) {
  const std::size_t at = random.below((data.size() + 3) / 4) * 4;
  std::uint64_t value = 0;
  std::memcpy(&value, &data[at], std::min<std::size_t>(sizeof value, data.size() - at));
  switch (random.below(5)) {
    case 0: return overwrite(data, at, static_cast<std::uint32_t>(value + (random.below(2) == 0 ? 1 : ~0U)));
    case 1: return overwrite(data, at, static_cast<std::uint32_t>(kBorders[random.below(std::size(kBorders))]));
    case 2: return overwrite(data, at, kBorders[random.below(std::size(kBorders))]);
    case 3: return overwrite(data, at, kFloats[random.below(std::size(kFloats))]);
    default: {
      std::uint32_t other = 0;
      const std::size_t from = random.below((data.size() + 3) / 4) * 4;
      std::memcpy(&other, &data[from], std::min(sizeof other, data.size() - from));
      return overwrite(data, at, other);
    }
  }
}

void change_data(Content& data, Random& random, const Mutate& mutate) {
  if (data.empty()) return data.assign(1 + random.below(64), 0);
  switch (random.below(mutate ? 6 : 3)) {
    case 0: return change_number(data, random);
    case 1: data[random.below(data.size())] ^= static_cast<unsigned char>(1U << random.below(8)); return;
    case 2: data[random.below(data.size())] = static_cast<unsigned char>(random.next()); return;
    default: {
      // Of another length mostly nothing is read but the length.
      const std::size_t length = data.size();
      mutate(data);
      if (random.below(8) != 0) data.resize(length);
    }
  }
}

Depth depth_of(std::uint32_t draw, const Shares& shares) {
  return draw % shares.lived == 0 ? Depth::kLife : draw % shares.searched == 0 ? Depth::kSearch : Depth::kLoad;
}

}  // namespace

Forged decode(const Loader& loader, Bytes bytes) {
  Forged forged;
  while (bytes.size() > kLengthBytes && forged.size() < kMostPieces) {
    std::uint32_t length = 0;
    std::memcpy(&length, &bytes[1], sizeof length);
    const std::size_t tag = bytes[0] % loader.tags.size();
    bytes = bytes.subspan(1 + kLengthBytes);
    const Bytes data = bytes.first(std::min<std::size_t>(length, bytes.size()));
    forged.push_back({tag, {data.begin(), data.end()}});
    bytes = bytes.subspan(data.size());
  }
  return forged;
}

Content encode(const Forged& forged) {
  Content bytes;
  for (const Piece& piece : forged) {
    bytes.push_back(static_cast<unsigned char>(piece.tag));
    const auto length = static_cast<std::uint32_t>(piece.data.size());
    const Bytes written = bytes_of(std::span<const std::uint32_t>(&length, 1));
    bytes.insert(bytes.end(), written.begin(), written.end());
    bytes.insert(bytes.end(), piece.data.begin(), piece.data.end());
  }
  return bytes;
}

void change(const Loader& loader, Forged& forged, Random& random, const Mutate& mutate) {
  if (forged.empty()) {
    forged.push_back({random.below(loader.tags.size()), {}});
    return;
  }
  const std::size_t at = random.below(forged.size());
  Content& data = forged[at].data;
  switch (random.below(16)) {
    case 0: forged.erase(forged.begin() + static_cast<std::ptrdiff_t>(at)); return;
    case 1: forged.push_back({random.below(loader.tags.size()), data}); return;
    case 2: data.resize(data.size() + 4 * (1 + random.below(4))); return;
    case 3: data.resize(data.size() - std::min(data.size(), 4 * (1 + random.below(4)))); return;
    // Parameters stand first and decide most.
    case 4:
    case 5:
    case 6:
    case 7: return change_data(forged.front().data, random, mutate);
    default: return change_data(data, random, mutate);
  }
}

void write_sections(const Loader& loader, const Forged& forged, const std::string& path) {
  std::vector<Section> sections;
  for (const Piece& piece : forged) sections.push_back({loader.tags[piece.tag], piece.data});
  if (sections.size() > kMostPieces) sections.resize(kMostPieces);
  write_container(path, {}, sections);
}

Forged read_sections(const Loader& loader, const std::string& path) {
  const Container file = Container::read(path);
  Forged forged;
  for (std::size_t tag = 0; tag < loader.tags.size(); ++tag) {
    if (!file.has(loader.tags[tag])) continue;
    const Bytes data = file.section(loader.tags[tag]);
    forged.push_back({tag, {data.begin(), data.end()}});
  }
  return forged;
}

bool try_load(const Loader& loader, const Forged& forged, const std::string& folder, const Shares& shares) {
  const std::string path = folder + "/" + loader.name;
  std::filesystem::remove(path);
  loader.write(loader, forged, path);
  const Content bytes = encode(forged);
  try {
    loader.use(path, depth_of(crc32c(bytes.data(), bytes.size()), shares));
  } catch (const Corrupted&) {
    return false;
  }
  return true;
}

const testing::Vectors& rows_of(Metric metric, std::size_t dim) {
  static std::map<std::pair<Metric, std::size_t>, testing::Vectors> known;
  const auto found = known.find({metric, dim});
  if (found != known.end()) return found->second;
  const auto made = testing::clustered_vectors(metric, kMostRows + kMoreRows, dim, 1);
  return known.emplace(std::pair(metric, dim), made).first->second;
}

}  // namespace vdb::fuzz
