// The one loop of the float32 distance family. Each level's file includes it inside its own anonymous namespace, so
// that no copy compiled for one level can be linked into another; it therefore has no namespace and no includes.
//
// Simd: Register, kLanes, kRows (rows whose sums fit the registers), zero(), load(p), load_first(p, n) with zeros
// behind the n < kLanes values, and reduce(sums), which adds four registers up. Op: step(sum, a, b).

constexpr std::size_t kSums = 4;  // partial sums of a row: enough to hide the latency of the step

// kRows rows against one query. Every form below is made of it, so all add the same values in the same order.
template <class Simd, class Op, std::size_t kRows>
void accumulate(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  typename Simd::Register sums[kRows][kSums];
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t s = 0; s < kSums; ++s) sums[r][s] = Simd::zero();
  }
  std::size_t i = 0;
  for (; i + kSums * Simd::kLanes <= dim; i += kSums * Simd::kLanes) {
    for (std::size_t s = 0; s < kSums; ++s) {
      const auto q = Simd::load(query + i + s * Simd::kLanes);
      for (std::size_t r = 0; r < kRows; ++r) {
        sums[r][s] = Op::step(sums[r][s], q, Simd::load(rows[r] + i + s * Simd::kLanes));
      }
    }
  }
  for (; i + Simd::kLanes <= dim; i += Simd::kLanes) {
    const auto q = Simd::load(query + i);
    for (std::size_t r = 0; r < kRows; ++r) sums[r][0] = Op::step(sums[r][0], q, Simd::load(rows[r] + i));
  }
  if (i < dim) {
    const auto q = Simd::load_first(query + i, dim - i);
    for (std::size_t r = 0; r < kRows; ++r)
      sums[r][0] = Op::step(sums[r][0], q, Simd::load_first(rows[r] + i, dim - i));
  }
  for (std::size_t r = 0; r < kRows; ++r) out[r] = Simd::reduce(sums[r]);
}

template <class Simd, class Op>
float pair(const float* a, const float* b, std::size_t dim) noexcept {
  float out;
  accumulate<Simd, Op, 1>(a, &b, dim, &out);
  return out;
}

template <class Simd, class Op>
void x4(const float* query, const float* const* rows, std::size_t dim, float* out) noexcept {
  for (std::size_t r = 0; r < 4; r += Simd::kRows) accumulate<Simd, Op, Simd::kRows>(query, rows + r, dim, out + r);
}

template <class Simd, class Op>
void block(const float* query, const float* rows, std::size_t n, std::size_t dim, float* out) noexcept {
  std::size_t r = 0;
  for (; r + 4 <= n; r += 4) {
    const float* const four[4] = {rows + r * dim, rows + (r + 1) * dim, rows + (r + 2) * dim, rows + (r + 3) * dim};
    x4<Simd, Op>(query, four, dim, out + r);
  }
  for (; r < n; ++r) out[r] = pair<Simd, Op>(query, rows + r * dim, dim);
}

template <class Simd, class L2Squared, class InnerProduct>
constexpr DistanceKernelsF32 table() noexcept {
  return {pair<Simd, L2Squared>,    x4<Simd, L2Squared>,    block<Simd, L2Squared>,
          pair<Simd, InnerProduct>, x4<Simd, InnerProduct>, block<Simd, InnerProduct>};
}
