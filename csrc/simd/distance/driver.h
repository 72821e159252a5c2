// The one loop of the distance family, for every dtype. Each level's file includes it inside its own anonymous
// namespace, so that no copy compiled for one level can be linked into another; it therefore has no namespace and no
// includes.
//
// Simd: Value (as stored), Register, kLanes (values of one load), kSums (partial sums of a distance), kRows (rows that
// share the loads of a query), kTileQueries and kTileRows (the same for a tile), zero(), load(p), load_first(p, n) with
// zeros behind the n < kLanes values, reduce(sums), which adds kSums registers up, reduce4(sums, out), which does so
// for four distances in the same order, and kWidens: whether values are converted, and load, load_first and store take
// float32 too.
// Op: start(query, dim), where the first sum begins, and step(sum, query, row).

// Rows a tile takes before it goes on to the next queries: half of a first-level cache of 32 KiB.
constexpr std::size_t kTileBytes = std::size_t{1} << 14;

// How far ahead of the rows being read their successors are asked for, at least: what memory delivers within its
// latency.
constexpr std::size_t kAheadBytes = std::size_t{1} << 14;

// A query, as stored or widened to float32, and where its first sum begins.
template <class Simd, class Value = typename Simd::Value>
struct Bound {
  const Value* values;
  typename Simd::Register start;
};

template <class Simd, class Op>
Bound<Simd> bind(const void* query, std::size_t dim) noexcept {
  const auto* const values = static_cast<const typename Simd::Value*>(query);
  return {values, Op::start(values, dim)};
}

// Keeps a value that has several uses in its register: GCC would load it again for each, as an operand of the step, and
// a tile would be bound by its loads.
template <class Loaded>
void keep(Loaded& value) noexcept {
#if defined(__aarch64__)
  __asm__("" : "+w"(value));
#else
  __asm__("" : "+v"(value));
#endif
}

template <class Simd, std::size_t kRows>
void finish(const typename Simd::Register (*sums)[Simd::kSums], float* out) noexcept {
  if constexpr (kRows == 4) {
    Simd::reduce4(sums, out);
  } else {
    for (std::size_t r = 0; r < kRows; ++r) out[r] = Simd::reduce(sums[r]);
  }
}

// Asks for what the next kSums loads from p will read; into the second-level cache, which waits for more lines at once.
template <class Simd>
void ask(const typename Simd::Value* p) noexcept {
  constexpr std::size_t kLine = 64 / sizeof(typename Simd::Value);
  for (std::size_t line = 0; line < Simd::kSums * Simd::kLanes; line += kLine) prefetch(p + line);
}

// Where the distances of several queries go: those of the next query begin `stride` further on.
struct Output {
  float* distances;
  std::size_t stride;
};

// kRows rows against kQueries queries into out. Every form below is made of it, so all add the
// same values in the same order.
template <class Simd, class Op, std::size_t kQueries, std::size_t kRows, bool kAsk = false, class Query>
void accumulate(const Bound<Simd, Query>* queries, const typename Simd::Value* const* rows, std::size_t dim,
                const Output& out) noexcept {
  using Value = typename Simd::Value;
  typename Simd::Register sums[kQueries][kRows][Simd::kSums];
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t r = 0; r < kRows; ++r) {
      sums[q][r][0] = queries[q].start;
      for (std::size_t s = 1; s < Simd::kSums; ++s) sums[q][r][s] = Simd::zero();
    }
  }
  const auto step = [&](std::size_t s, const auto& load) __attribute__((always_inline)) {
    decltype(load(rows[0])) loaded[kQueries];
    for (std::size_t q = 0; q < kQueries; ++q) {
      loaded[q] = load(queries[q].values);
      if constexpr (kRows > 1) keep(loaded[q]);
    }
    for (std::size_t r = 0; r < kRows; ++r) {
      auto row = load(rows[r]);
      if constexpr (kQueries > 1) keep(row);
      for (std::size_t q = 0; q < kQueries; ++q) sums[q][r][s] = Op::step(sums[q][r][s], loaded[q], row);
    }
  };
  const std::size_t ahead = kAsk ? (kAheadBytes / (dim * sizeof(Value)) + kRows) * dim : 0;
  std::size_t i = 0;
  for (; i + Simd::kSums * Simd::kLanes <= dim; i += Simd::kSums * Simd::kLanes) {
    if constexpr (kAsk) {
      for (std::size_t r = 0; r < kRows; ++r) ask<Simd>(rows[r] + ahead + i);
    }
    for (std::size_t s = 0; s < Simd::kSums; ++s) {
      step(s, [&](const auto* p) { return Simd::load(p + i + s * Simd::kLanes); });
    }
  }
  for (; i + Simd::kLanes <= dim; i += Simd::kLanes) {
    step(0, [&](const auto* p) { return Simd::load(p + i); });
  }
  if (i < dim) {
    step(0, [&](const auto* p) { return Simd::load_first(p + i, dim - i); });
  }
  for (std::size_t q = 0; q < kQueries; ++q) finish<Simd, kRows>(sums[q], out.distances + q * out.stride);
}

// n consecutive rows against kQueries queries, kRows at a time.
template <class Simd, class Op, std::size_t kQueries, std::size_t kRows, bool kAsk = false, class Query>
void sweep(const Bound<Simd, Query>* queries, const typename Simd::Value* rows, std::size_t n, std::size_t dim,
           const Output& out) noexcept {
  using Value = typename Simd::Value;
  std::size_t r = 0;
  for (; r + kRows <= n; r += kRows) {
    const Value* group[kRows];
    for (std::size_t j = 0; j < kRows; ++j) group[j] = rows + (r + j) * dim;
    accumulate<Simd, Op, kQueries, kRows, kAsk>(queries, group, dim, {out.distances + r, out.stride});
  }
  for (; r < n; ++r) {
    const Value* const row = rows + r * dim;
    accumulate<Simd, Op, kQueries, 1>(queries, &row, dim, {out.distances + r, out.stride});
  }
}

template <class Simd, class Op>
float pair(const void* a, const void* b, std::size_t dim) noexcept {
  const Bound<Simd> query = bind<Simd, Op>(a, dim);
  const auto* const row = static_cast<const typename Simd::Value*>(b);
  float out;
  accumulate<Simd, Op, 1, 1>(&query, &row, dim, {&out, 0});
  return out;
}

template <class Simd, class Op>
void x4(const void* query, const void* const* rows, std::size_t dim, float* out) noexcept {
  using Value = typename Simd::Value;
  const Bound<Simd> bound = bind<Simd, Op>(query, dim);
  const Value* const four[4] = {static_cast<const Value*>(rows[0]), static_cast<const Value*>(rows[1]),
                                static_cast<const Value*>(rows[2]), static_cast<const Value*>(rows[3])};
  for (std::size_t r = 0; r < 4; r += Simd::kRows) {
    accumulate<Simd, Op, 1, Simd::kRows>(&bound, four + r, dim, {out + r, 0});
  }
}

// Values of a query that are widened once for all rows of a block.
constexpr std::size_t kWidenedDims = 4096;

// A block against a query whose values are converted once, and not again for each row.
template <class Simd, class Op>
void widened_block(const Bound<Simd>& query, const typename Simd::Value* rows, std::size_t n, std::size_t dim,
                   float* out) noexcept {
  alignas(64) float values[kWidenedDims + Simd::kLanes];
  std::size_t i = 0;
  for (; i + Simd::kLanes <= dim; i += Simd::kLanes) Simd::store(values + i, Simd::load(query.values + i));
  if (i < dim) Simd::store(values + i, Simd::load_first(query.values + i, dim - i));
  const Bound<Simd, float> widened{values, query.start};
  sweep<Simd, Op, 1, 1>(&widened, rows, n, dim, {out, 0});
}

// The hardware reads one stream of rows ahead at the full bandwidth of memory, and rows side by side at a third of it.
// So rows follow each other, except where a row and the query do not fit the first-level cache together: those are
// asked for (bench/micro/kernels.py).
template <class Simd, class Op>
void block(const void* query, const void* rows, std::size_t n, std::size_t dim, float* out) noexcept {
  using Value = typename Simd::Value;
  const Bound<Simd> bound = bind<Simd, Op>(query, dim);
  const Value* const first = static_cast<const Value*>(rows);
  if constexpr (Simd::kWidens) {
    if (dim <= kWidenedDims) return widened_block<Simd, Op>(bound, first, n, dim, out);
  }
  if (dim * sizeof(Value) < kTileBytes) {
    sweep<Simd, Op, 1, 1>(&bound, first, n, dim, {out, 0});
  } else {
    sweep<Simd, Op, 1, Simd::kRows, true>(&bound, first, n, dim, {out, 0});
  }
}

// As many rows as stay in the first-level cache against all queries, then the next rows.
template <class Simd, class Op>
void tile(const DistanceKernels::Run& queries, const DistanceKernels::Run& rows, std::size_t dim, float* out) noexcept {
  using Value = typename Simd::Value;
  const Value* const first_query = static_cast<const Value*>(queries.data);
  const std::size_t fitting = kTileBytes / (dim * sizeof(Value)) / 4 * 4;
  const std::size_t height = fitting > 4 ? fitting : 4;
  for (std::size_t r = 0; r < rows.n; r += height) {
    const Value* const first_row = static_cast<const Value*>(rows.data) + r * dim;
    const std::size_t count = height < rows.n - r ? height : rows.n - r;
    std::size_t q = 0;
    for (; q + Simd::kTileQueries <= queries.n; q += Simd::kTileQueries) {
      Bound<Simd> bound[Simd::kTileQueries];
      for (std::size_t j = 0; j < Simd::kTileQueries; ++j) bound[j] = bind<Simd, Op>(first_query + (q + j) * dim, dim);
      const Output group{out + q * rows.n + r, rows.n};
      if (q == 0) {
        sweep<Simd, Op, Simd::kTileQueries, Simd::kTileRows, true>(bound, first_row, count, dim, group);
      } else {
        sweep<Simd, Op, Simd::kTileQueries, Simd::kTileRows>(bound, first_row, count, dim, group);
      }
    }
    for (; q < queries.n; ++q) block<Simd, Op>(first_query + q * dim, first_row, count, dim, out + q * rows.n + r);
  }
}

template <class Simd, class Op>
constexpr DistanceKernels::Forms forms() noexcept {
  return {pair<Simd, Op>, x4<Simd, Op>, block<Simd, Op>, tile<Simd, Op>};
}
