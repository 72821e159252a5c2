// The loops of product quantisation. Each level's file includes them inside its own anonymous namespace, so that no
// copy compiled for one level can be linked into another; it therefore has no namespace and no includes.
//
// Simd, for centroids by dimension: Register, kLanes (a divisor of 16), kColumnRegisters (accumulators that hide the
// latency of a step), zero(), load(p), store(p, r), broadcast(x), l2_step and product_step (sum, a, b), Best,
// none(), offer(best, distances, first) for kLanes centroids from `first`, and least(best, &distance).
// Scan, for blocks: Sums, kPairs (pairs of sub-quantisers in a register), kBlocks (blocks that share tables in
// registers), zero(), tables(p), codes(p), the same for the last pair alone, add(sums, tables, codes), store(sums,
// out).

struct L2Step {
  template <class Simd>
  static typename Simd::Register step(typename Simd::Register sum, typename Simd::Register a,
                                      typename Simd::Register b) noexcept {
    return Simd::l2_step(sum, a, b);
  }
};

struct ProductStep {
  template <class Simd>
  static typename Simd::Register step(typename Simd::Register sum, typename Simd::Register a,
                                      typename Simd::Register b) noexcept {
    return Simd::product_step(sum, a, b);
  }
};

// Centroids [first, first + kRegisters * kLanes) against the query.
template <class Simd, class Op, std::size_t kRegisters>
void accumulate(const float* query, const PqKernels::Columns& columns, std::size_t first,
                typename Simd::Register* sums) noexcept {
  for (std::size_t r = 0; r < kRegisters; ++r) sums[r] = Simd::zero();
  const float* p = columns.data + first;
  for (std::size_t d = 0; d < columns.dim; ++d, p += columns.n) {
    const auto q = Simd::broadcast(query[d]);
    for (std::size_t r = 0; r < kRegisters; ++r) {
      sums[r] = Op::template step<Simd>(sums[r], q, Simd::load(p + r * Simd::kLanes));
    }
  }
}

// Calls use(sums, first) with the distances of every kLanes centroids, in order.
template <class Simd, class Op, class Use>
void for_each_register(const float* query, const PqKernels::Columns& columns, Use use) noexcept {
  constexpr std::size_t kGroup = Simd::kColumnRegisters;
  typename Simd::Register sums[kGroup];
  std::size_t c = 0;
  for (; c + kGroup * Simd::kLanes <= columns.n; c += kGroup * Simd::kLanes) {
    accumulate<Simd, Op, kGroup>(query, columns, c, sums);
    for (std::size_t r = 0; r < kGroup; ++r) use(sums[r], c + r * Simd::kLanes);
  }
  for (; c < columns.n; c += Simd::kLanes) {
    accumulate<Simd, Op, 1>(query, columns, c, sums);
    use(sums[0], c);
  }
}

template <class Simd, class Op>
void column_distances(const float* query, const PqKernels::Columns& columns, float* out) noexcept {
  for_each_register<Simd, Op>(query, columns,
                              [out](typename Simd::Register sums, std::size_t c) { Simd::store(out + c, sums); });
}

// For levels without a reduction of their own: the least of n distances, the first of equals.
[[maybe_unused]] std::uint32_t least_lane(const float* distances, const std::uint32_t* at, std::size_t n,
                                          float* distance) noexcept {
  std::size_t least = 0;
  for (std::size_t i = 1; i < n; ++i) {
    const bool first = distances[i] == distances[least] && at[i] < at[least];
    if (distances[i] < distances[least] || first) least = i;
  }
  *distance = distances[least];
  return at[least];
}

template <class Simd>
std::uint32_t nearest(const float* query, const PqKernels::Columns& columns, float* distance) noexcept {
  auto best = Simd::none();
  for_each_register<Simd, L2Step>(query, columns, [&best](typename Simd::Register sums, std::size_t c) {
    Simd::offer(best, sums, static_cast<std::uint32_t>(c));
  });
  return Simd::least(best, distance);
}

constexpr std::size_t kTableRow = 256;  // entries of an 8-bit sub-quantiser
constexpr std::size_t kLookupSums = 4;  // partial sums of a row: enough to hide the latency of an addition

// kRows codes at once, by plain loads at every level: gathers of eight and of sixteen took from 0.9 to 1.7 times as
// long on Zen 4, for m from 16 to 192.
template <std::size_t kRows>
void lookup(const float* table, const std::uint8_t* const* codes, std::size_t m, float* out) noexcept {
  float sums[kRows][kLookupSums] = {};
  std::size_t j = 0;
  for (; j + kLookupSums <= m; j += kLookupSums) {
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t s = 0; s < kLookupSums; ++s) sums[r][s] += table[(j + s) * kTableRow + codes[r][j + s]];
    }
  }
  for (; j < m; ++j) {
    for (std::size_t r = 0; r < kRows; ++r) sums[r][0] += table[j * kTableRow + codes[r][j]];
  }
  for (std::size_t r = 0; r < kRows; ++r) out[r] = (sums[r][0] + sums[r][1]) + (sums[r][2] + sums[r][3]);
}

float lookup8(const float* table, const std::uint8_t* code, std::size_t m) noexcept {
  float out;
  lookup<1>(table, &code, m, &out);
  return out;
}

// Two rows at a time: eight sums and the table's address fit the registers of every level.
void lookup8_x4(const float* table, const std::uint8_t* const* codes, std::size_t m, float* out) noexcept {
  lookup<2>(table, codes, m, out);
  lookup<2>(table, codes + 2, m, out + 2);
}

void lookup8_block(const float* table, const CodeRows& codes, std::size_t m, float* out) noexcept {
  std::size_t r = 0;
  for (; r + 2 <= codes.n; r += 2) {
    const std::uint8_t* const two[2] = {codes.data + r * codes.stride, codes.data + (r + 1) * codes.stride};
    lookup<2>(table, two, m, out + r);
  }
  if (r < codes.n) out[r] = lookup8(table, codes.data + r * codes.stride, m);
}

constexpr std::size_t kBlockRows = 32;
constexpr std::size_t kTable4 = 16;  // entries of a 4-bit sub-quantiser
constexpr std::size_t kPairsPerLine = 64 / kBlockRows;
// Groups of blocks from the one that is read to the one that is asked for: the hardware does not see blocks side by
// side as one stream.
constexpr std::size_t kBlocksAhead = 2;

template <class Scan, std::size_t kBlocks>
void scan_blocks(const std::uint8_t* table, const std::uint8_t* blocks, std::size_t m, std::uint16_t* out) noexcept {
  typename Scan::Sums sums[kBlocks];
  for (std::size_t b = 0; b < kBlocks; ++b) sums[b] = Scan::zero();
  const std::size_t pairs = m / 2;
  for (std::size_t j = 0; j < pairs; ++j) {
    const auto tables = Scan::tables(table + 2 * j * kTable4);
    if (j % kPairsPerLine == 0) {
      for (std::size_t b = 0; b < kBlocks; ++b) {
        prefetch(blocks + ((b + kBlocksAhead * kBlocks) * pairs + j) * kBlockRows);
      }
    }
    for (std::size_t b = 0; b < kBlocks; ++b) {
      Scan::add(sums[b], tables, blocks + (b * pairs + j) * kBlockRows);
    }
  }
  for (std::size_t b = 0; b < kBlocks; ++b) Scan::store(sums[b], out + b * kBlockRows);
}

template <class Scan>
void scan4(const std::uint8_t* table, const std::uint8_t* blocks, std::size_t n_blocks, std::size_t m,
           std::uint16_t* out) noexcept {
  const std::size_t block_bytes = m / 2 * kBlockRows;
  std::size_t b = 0;
  for (; b + Scan::kBlocks <= n_blocks; b += Scan::kBlocks) {
    scan_blocks<Scan, Scan::kBlocks>(table, blocks + b * block_bytes, m, out + b * kBlockRows);
  }
  for (; b < n_blocks; ++b) scan_blocks<Scan, 1>(table, blocks + b * block_bytes, m, out + b * kBlockRows);
}

template <class Simd, class Scan>
constexpr PqKernels table() noexcept {
  return {column_distances<Simd, L2Step>,
          column_distances<Simd, ProductStep>,
          nearest<Simd>,
          lookup8,
          lookup8_x4,
          lookup8_block,
          scan4<Scan>};
}
