// The one loop of the products of 1-bit codes with bit planes. Each level's file includes it inside its own anonymous
// namespace, as it does driver.h.
//
// Bits: kWords of 64 bits in a register; zero(); mask(n), which says how much of n words load(p, mask) may read, with
// zeros behind them; count(code, plane), the bits that both have, in lanes of a byte or more; gather(counts, count, p),
// those of the planes above p and that of plane p, weighed for good or, by Horner's rule, so that plane 0 weighs 1 in
// the end; widen(sum, counts), which adds them to sums of 32 bits or more; and reduce(sums, out), which adds the lanes
// of each of four registers up.

constexpr std::size_t kBitRows = 4;  // rows that share a plane once it is loaded

// How far ahead of four rows their successors are asked for: the hardware does not see four wide rows as one stream.
constexpr std::size_t kAheadBytes = 4096;

// Planes of one pass: 8 bits * (1 + 2 + 4 + 8) is 120, which fits a byte.
constexpr std::size_t kPassPlanes = 4;

// The products of kTogether rows with kPlanes planes, which weigh 1, 2, 4, ...
template <class Bits, std::size_t kPlanes, std::size_t kTogether>
void pass(const std::uint8_t* const* codes, const std::uint64_t* planes, std::size_t words,
          std::uint32_t* out) noexcept {
  typename Bits::Register sums[kBitRows] = {Bits::zero(), Bits::zero(), Bits::zero(), Bits::zero()};
  for (std::size_t w = 0; w < words; w += Bits::kWords) {
    const auto mask = Bits::mask(words - w);
    typename Bits::Register code[kTogether];
    typename Bits::Register counts[kTogether];
    for (std::size_t r = 0; r < kTogether; ++r) {
      code[r] = Bits::load(codes[r] + w * sizeof(std::uint64_t), mask);
      counts[r] = Bits::zero();
    }
    for (std::size_t p = kPlanes; p-- > 0;) {
      const auto plane = Bits::load(reinterpret_cast<const std::uint8_t*>(planes + p * words + w), mask);
      for (std::size_t r = 0; r < kTogether; ++r) counts[r] = Bits::gather(counts[r], Bits::count(code[r], plane), p);
    }
    for (std::size_t r = 0; r < kTogether; ++r) sums[r] = Bits::widen(sums[r], counts[r]);
  }
  Bits::reduce(sums, out);
}

// One pass: `out` has room for kBitRows values, of which the first kTogether are of use.
template <class Bits, std::size_t kTogether>
void some_planes(const std::uint8_t* const* codes, const BitCodeKernels::Query& query, std::uint32_t* out) noexcept {
  switch (query.bits) {
    case 1: pass<Bits, 1, kTogether>(codes, query.planes, query.words, out); break;
    case 2: pass<Bits, 2, kTogether>(codes, query.planes, query.words, out); break;
    case 3: pass<Bits, 3, kTogether>(codes, query.planes, query.words, out); break;
    default: pass<Bits, kPassPlanes, kTogether>(codes, query.planes, query.words, out); break;
  }
}

template <class Bits, std::size_t kTogether>
void bit_products(const std::uint8_t* const* codes, const BitCodeKernels::Query& query, std::uint32_t* out) noexcept {
  some_planes<Bits, kTogether>(codes, query, out);
  if (query.bits <= kPassPlanes) return;
  const BitCodeKernels::Query rest = {query.planes + kPassPlanes * query.words, query.bits - kPassPlanes, query.words};
  std::uint32_t high[kBitRows];
  some_planes<Bits, kTogether>(codes, rest, high);
  for (std::size_t r = 0; r < kTogether; ++r) out[r] += high[r] << kPassPlanes;
}

template <class Bits>
std::uint32_t bit_pair(const std::uint8_t* code, const BitCodeKernels::Query& query) noexcept {
  std::uint32_t out[kBitRows];
  bit_products<Bits, 1>(&code, query, out);
  return out[0];
}

template <class Bits>
void bit_x4(const std::uint8_t* const* codes, const BitCodeKernels::Query& query, std::uint32_t* out) noexcept {
  bit_products<Bits, kBitRows>(codes, query, out);
}

template <class Bits>
void bit_block(const CodeRows& codes, const BitCodeKernels::Query& query, std::uint32_t* out) noexcept {
  constexpr std::size_t kLineBytes = 64;
  const std::size_t ahead = kAheadBytes / (query.words * sizeof(std::uint64_t)) + 1;
  std::size_t r = 0;
  for (; r + kBitRows <= codes.n; r += kBitRows) {
    const std::uint8_t* const first = codes.data + r * codes.stride;
    if (r + ahead + kBitRows <= codes.n) {
      const std::uint8_t* const later = first + ahead * codes.stride;
      for (std::size_t b = 0; b < kBitRows * codes.stride; b += kLineBytes) prefetch(later + b);
    }
    const std::uint8_t* const four[kBitRows] = {first, first + codes.stride, first + 2 * codes.stride,
                                                first + 3 * codes.stride};
    bit_products<Bits, kBitRows>(four, query, out + r);
  }
  for (; r < codes.n; ++r) out[r] = bit_pair<Bits>(codes.data + r * codes.stride, query);
}

// The records of up to kRows slots; the last one again where there are fewer, so that every group is made alike and a
// distance does not depend on its place.
template <std::size_t kRows>
void address(const CodeRows& all, const std::uint32_t* slots, std::size_t n, const std::uint8_t** records) noexcept {
  for (std::size_t r = 0; r < kRows; ++r) records[r] = all.data + all.stride * slots[r < n ? r : n - 1];
}

[[maybe_unused]] float finish(const BitCodeKernels::DistanceQuery& query, const std::uint8_t* factors,
                              std::uint32_t product) noexcept {
  BitCodeKernels::Factors row;
  __builtin_memcpy(&row, factors, sizeof row);
  // At most 2^24, so signed: the conversion is one instruction.
  const float exact = query.scale * static_cast<float>(static_cast<std::int32_t>(product)) +
                      (query.offset * static_cast<float>(row.ones) + query.base);
  return (row.add + query.centroid_adds[row.centroid & query.centroid_mask]) + row.rescale * exact;
}

template <class Bits>
void bit_distances(const CodeRows& all, const std::uint32_t* slots, std::size_t n,
                   const BitCodeKernels::DistanceQuery& query, float* out) noexcept {
  const std::size_t sign_bytes = query.planes.words * sizeof(std::uint64_t);
  for (std::size_t i = 0; i < n; i += kBitRows) {
    const std::uint8_t* records[kBitRows];
    address<kBitRows>(all, slots + i, n - i, records);
    std::uint32_t products[kBitRows];
    bit_products<Bits, kBitRows>(records, query.planes, products);
    for (std::size_t r = 0; r < kBitRows; ++r) out[i + r] = finish(query, records[r] + sign_bytes, products[r]);
  }
}

// Eight values at a time: the bits of a plane are the lowest of eight bytes, which one multiplication moves to the top
// byte, each to a place of its own.
[[maybe_unused]] void cut_words(const std::uint8_t* values, std::size_t bits, std::size_t words,
                                std::uint64_t* planes) noexcept {
  constexpr std::uint64_t kLowest = 0x0101010101010101;
  constexpr std::uint64_t kToTop = 0x0102040810204080;
  constexpr unsigned kTopByte = 56;
  for (std::size_t i = 0; i < words * bits; ++i) planes[i] = 0;
  for (std::size_t byte = 0; byte < words * sizeof(std::uint64_t); ++byte) {
    std::uint64_t eight;
    __builtin_memcpy(&eight, values + byte * sizeof eight, sizeof eight);
    const std::size_t word = byte / sizeof eight;
    const std::size_t shift = byte % sizeof eight * 8;
    for (std::size_t p = 0; p < bits; ++p) {
      planes[p * words + word] |= (((eight >> p) & kLowest) * kToTop >> kTopByte) << shift;
    }
  }
}

template <class Bits>
constexpr BitCodeKernels bit_table(BitCodeKernels::Distances distances = bit_distances<Bits>,
                                   BitCodeKernels::Cut cut = cut_words) noexcept {
  return {bit_pair<Bits>, bit_x4<Bits>, bit_block<Bits>, distances, cut};
}
