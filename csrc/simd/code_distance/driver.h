// The one loop of the products of packed codes. Each level's file includes it inside its own anonymous namespace, so
// that no copy compiled for one level can be linked into another; it therefore has no namespace and no includes.
//
// Simd, one type for each width: kBits of a code; kParts, the loads that make up a block of 64 dimensions, at most 4;
// kQueries, how many queries' sums fit the registers beside four rows; start(query, dim), the sum before the first
// step; load_query(query) and unpack(code, part), a part of a block of either; step(sum, codes, query); add(a, b) of
// sums; and reduce(sums, out), which adds the lanes of each of four registers up. Integer sums are exact, so every form
// is free in its order.
//
// Loops over registers are unrolled by pragma: left to itself GCC 12 keeps the sums on the stack.

constexpr std::size_t kBlock = 64;  // dimensions that are packed together
constexpr std::size_t kRows = 4;    // rows that share a query register once it is loaded

// Half of the first-level cache of the smallest machines in use: the other half is for the queries passing by.
constexpr std::size_t kChunkBytes = 16384;

// Four rows of up to this many bytes are read as one stream. Wider ones would be four, which the hardware does not
// prefetch: on Zen 4 they reach a quarter of the bandwidth of memory.
constexpr std::size_t kNarrowBytes = 256;

// Codes that are unpacked stall the one stream between rows: those of up to this many bytes a row are asked for this
// far ahead (bench/micro/kernels.py). Whole bytes, and longer rows, come faster without.
constexpr std::size_t kAskedBytes = 1024;
constexpr std::size_t kRowsAheadBytes = 8192;

// Four rows against kQueries queries, into out[q * out_stride + r].
template <class Simd, std::size_t kQueries>
void products(const std::uint8_t* const* codes, const std::int8_t* queries, std::size_t dim, std::int32_t* out,
              std::size_t out_stride) noexcept {
  constexpr std::size_t kPartDims = kBlock / Simd::kParts;
  const std::uint8_t* rows[kRows] = {codes[0], codes[1], codes[2], codes[3]};
  typename Simd::Register sums[kQueries][kRows];
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) {
    const auto start = Simd::start(queries + q * dim, dim);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) sums[q][r] = start;
  }
  std::size_t i = 0;
  do {
#pragma GCC unroll 8
    for (std::size_t part = 0; part < Simd::kParts; ++part) {
      typename Simd::Query query[kQueries];
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kQueries; ++q) query[q] = Simd::load_query(queries + q * dim + i + part * kPartDims);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kRows; ++r) {
        const auto code = Simd::unpack(rows[r], part);
#pragma GCC unroll 8
        for (std::size_t q = 0; q < kQueries; ++q) sums[q][r] = Simd::step(sums[q][r], code, query[q]);
      }
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) rows[r] += Simd::kBits * kBlock / 8;
    i += kBlock;
  } while (i < dim);
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) Simd::reduce(sums[q], out + q * out_stride);
}

// One row, its blocks dealt to four sums to hide the latency of the step.
template <class Simd>
typename Simd::Register row_sum(const std::uint8_t* code, const std::int8_t* query, std::size_t dim,
                                typename Simd::Register start) noexcept {
  constexpr std::size_t kSums = 4;
  constexpr std::size_t kPartDims = kBlock / Simd::kParts;
  constexpr std::size_t kBytes = Simd::kBits * kBlock / 8;
  typename Simd::Register sums[kSums] = {start, Simd::zero(), Simd::zero(), Simd::zero()};
  std::size_t i = 0;
  for (; i + kSums * kBlock <= dim; i += kSums * kBlock) {
#pragma GCC unroll 8
    for (std::size_t s = 0; s < kSums; ++s, code += kBytes) {
#pragma GCC unroll 8
      for (std::size_t part = 0; part < Simd::kParts; ++part) {
        const auto values = Simd::load_query(query + i + s * kBlock + part * kPartDims);
        sums[s] = Simd::step(sums[s], Simd::unpack(code, part), values);
      }
    }
  }
  for (; i < dim; i += kBlock, code += kBytes) {
#pragma GCC unroll 8
    for (std::size_t part = 0; part < Simd::kParts; ++part) {
      sums[part] = Simd::step(sums[part], Simd::unpack(code, part), Simd::load_query(query + i + part * kPartDims));
    }
  }
  return Simd::add(Simd::add(sums[0], sums[1]), Simd::add(sums[2], sums[3]));
}

template <class Simd>
std::int32_t pair(const std::uint8_t* code, const std::int8_t* query, std::size_t dim) noexcept {
  const typename Simd::Register sums[kRows] = {row_sum<Simd>(code, query, dim, Simd::start(query, dim)), Simd::zero(),
                                               Simd::zero(), Simd::zero()};
  std::int32_t out[kRows];
  Simd::reduce(sums, out);
  return out[0];
}

template <class Simd>
void x4(const std::uint8_t* const* codes, const std::int8_t* query, std::size_t dim, std::int32_t* out) noexcept {
  products<Simd, 1>(codes, query, dim, out, 0);
}

// Asks for what lies ahead of four rows, into the second-level cache.
void ask_ahead(const std::uint8_t* rows, std::size_t stride) noexcept {
  constexpr std::size_t kLineBytes = 64;
  for (std::size_t b = 0; b < kRows * stride; b += kLineBytes) {
    prefetch(rows + kRowsAheadBytes + b);
  }
}

template <class Simd>
void block(const CodeRows& codes, const std::int8_t* query, std::size_t dim, std::int32_t* out) noexcept {
  const std::size_t row_bytes = Simd::kBits * dim / 8;
  const bool narrow = row_bytes <= kNarrowBytes;
  const bool asks = Simd::kBits < 8 && row_bytes <= kAskedBytes;
  const auto start = Simd::start(query, dim);
  std::size_t r = 0;
  for (; r + kRows <= codes.n; r += kRows) {
    const std::uint8_t* const first = codes.data + r * codes.stride;
    const std::uint8_t* const four[kRows] = {first, first + codes.stride, first + 2 * codes.stride,
                                             first + 3 * codes.stride};
    if (narrow) {
      products<Simd, 1>(four, query, dim, out + r, 0);
    } else {
      if (asks && r + 2 * kRows <= codes.n) ask_ahead(first, codes.stride);
      const typename Simd::Register sums[kRows] = {
          row_sum<Simd>(four[0], query, dim, start), row_sum<Simd>(four[1], query, dim, start),
          row_sum<Simd>(four[2], query, dim, start), row_sum<Simd>(four[3], query, dim, start)};
      Simd::reduce(sums, out + r);
    }
  }
  for (; r < codes.n; ++r) out[r] = pair<Simd>(codes.data + r * codes.stride, query, dim);
}

// All rows of a chunk against kQueries queries, into out[q * out_stride + row].
template <class Simd, std::size_t kQueries>
void chunk(const CodeRows& codes, const std::int8_t* queries, std::size_t dim, std::int32_t* out,
           std::size_t out_stride) noexcept {
  for (std::size_t r = 0; r < codes.n; r += kRows) {
    const std::size_t rows = codes.n - r < kRows ? codes.n - r : kRows;
    const std::uint8_t* four[kRows];
    for (std::size_t j = 0; j < kRows; ++j) four[j] = codes.data + (r + (j < rows ? j : rows - 1)) * codes.stride;
    if (rows == kRows) {
      products<Simd, kQueries>(four, queries, dim, out + r, out_stride);
      continue;
    }
    std::int32_t last[kQueries * kRows];
    products<Simd, kQueries>(four, queries, dim, last, kRows);
    for (std::size_t q = 0; q < kQueries; ++q) {
      for (std::size_t j = 0; j < rows; ++j) out[q * out_stride + r + j] = last[q * kRows + j];
    }
  }
}

// Asks for a share of the rows to come, into the second-level cache.
void ask_for(const CodeRows& rows, std::size_t share, std::size_t shares) noexcept {
  constexpr std::size_t kLineBytes = 64;
  const std::size_t lines = rows.n * rows.stride / kLineBytes;
  for (std::size_t line = lines * share / shares; line < lines * (share + 1) / shares; ++line) {
    prefetch(rows.data + line * kLineBytes);
  }
}

template <class Simd>
void tile(const CodeRows& codes, const std::int8_t* queries, std::size_t nq, std::size_t dim,
          std::int32_t* out) noexcept {
  const std::size_t groups = kChunkBytes / (kRows * Simd::kBits * dim / 8);
  const std::size_t step = groups == 0 ? kRows : groups * kRows;
  const std::size_t shares = nq / Simd::kQueries + nq % Simd::kQueries;
  for (std::size_t first = 0; first < codes.n; first += step) {
    const std::size_t n = codes.n - first < step ? codes.n - first : step;
    const std::size_t n_later = codes.n - first - n < step ? codes.n - first - n : step;
    const CodeRows rows = {codes.data + first * codes.stride, n, codes.stride};
    const CodeRows later = {rows.data + n * codes.stride, n_later, codes.stride};
    std::size_t q = 0;
    for (std::size_t share = 0; share < shares; ++share) {
      ask_for(later, share, shares);
      std::int32_t* const begin = out + q * codes.n + first;
      if (q + Simd::kQueries <= nq) {
        chunk<Simd, Simd::kQueries>(rows, queries + q * dim, dim, begin, codes.n);
        q += Simd::kQueries;
      } else {
        chunk<Simd, 1>(rows, queries + q * dim, dim, begin, codes.n);
        ++q;
      }
    }
  }
}

template <class Simd>
constexpr CodeKernels::Forms forms() noexcept {
  return {pair<Simd>, x4<Simd>, block<Simd>, tile<Simd>};
}

// Four rows, part after part.
template <template <unsigned> class Simd>
void parts_x4(const std::uint8_t* const* records, const CodeKernels::Parts& parts, const std::int8_t* query,
              std::size_t dim, std::int32_t* out) noexcept {
  for (std::size_t r = 0; r < kRows; ++r) out[r] = 0;
  for (std::size_t p = 0; p < parts.n; ++p) {
    const CodeKernels::Part& part = parts.data[p];
    const std::uint8_t* const codes[kRows] = {records[0] + part.offset, records[1] + part.offset,
                                              records[2] + part.offset, records[3] + part.offset};
    std::int32_t sums[kRows];
    switch (part.bits) {
      case 4: x4<Simd<4>>(codes, query, dim, sums); break;
      case 2: x4<Simd<2>>(codes, query, dim, sums); break;
      default: x4<Simd<1>>(codes, query, dim, sums); break;
    }
    for (std::size_t r = 0; r < kRows; ++r) out[r] += sums[r] * (1 << part.shift);
  }
}

template <template <unsigned> class Simd>
void parts_x8(const std::uint8_t* const* records, const CodeKernels::Parts& parts, const std::int8_t* query,
              std::size_t dim, std::int32_t* out) noexcept {
  for (std::size_t r = 0; r < CodeKernels::kGathered; r += kRows) {
    parts_x4<Simd>(records + r, parts, query, dim, out + r);
  }
}

template <template <unsigned> class Simd>
constexpr CodeKernels table(CodeKernels::PartsX8 parts = parts_x8<Simd>) noexcept {
  return {forms<Simd<8>>(), forms<Simd<4>>(), forms<Simd<2>>(), forms<Simd<1>>(), parts};
}
