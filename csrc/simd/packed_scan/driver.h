// The loop over packed neighbours. Each level's file includes it inside its own anonymous namespace, so that no copy
// compiled for one level can be linked into another; it therefore has no namespace and no includes.
//
// Simd: Sums, zero(), add(sums, table, codes) for kStep sub-quantisers, and finish(sums, query, factors, bounds, out)
// of factors that are float or bfloat16. Every level rounds the same products and sums in the same order, so that a
// walk takes the same way on all machines.

constexpr std::size_t kRows = PackedScanKernels::kRows;
constexpr std::size_t kEntries = PackedScanKernels::kEntries;
// Sub-quantisers whose entries a byte can add up.
constexpr std::size_t kStep = 4;
static_assert(kStep * PackedScanKernels::kMaxEntry <= 255);

// Asks for nothing ahead: the next block is known to the caller alone.
template <class Simd, class Factor>
std::uint32_t estimate(const PackedScanKernels::Query& query, const std::uint8_t* codes, const Factor* factors,
                       const PackedScanKernels::Bounds& bounds, float* out) noexcept {
  auto sums = Simd::zero();
  for (std::size_t j = 0; j < query.m; j += kStep) {
    Simd::add(sums, query.table + j * kEntries, codes + j / 2 * kRows);
  }
  return Simd::finish(sums, query, factors, bounds, out);
}

template <class Simd>
constexpr PackedScanKernels table() noexcept {
  return {estimate<Simd, float>, estimate<Simd, std::uint16_t>};
}
