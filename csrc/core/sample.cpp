#include "core/sample.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

#include "base/rng.h"

namespace vdb {

std::vector<std::size_t> sample_rows(std::size_t n, std::size_t count, std::uint64_t seed) {
  std::vector<std::size_t> rows(std::min(count, n));
  if (count >= n) {
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    return rows;
  }
  // Floyd's sampling (Bentley and Floyd, 1987): memory for the sample only.
  std::unordered_set<std::size_t> taken;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t last = n - count + i;
    const auto drawn = static_cast<std::size_t>(splitmix64(seed ^ splitmix64(i)) % (last + 1));
    rows[i] = taken.insert(drawn).second ? drawn : last;
    if (rows[i] == last) taken.insert(last);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace vdb
