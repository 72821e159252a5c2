// The loops of the rotation family, included by each level's file inside its own anonymous namespace (see
// simd/distance/driver.h). Every level does the same sums and differences of the same pairs, stage by stage, so their
// results are bit-equal and a code written by one machine is read by all.
//
// Simd: Register, kLanes, load(p), store(p, x), add, sub, multiply(x, float), flip(x, bits), which negates lane i where
// bit i is set, and stages(x), the butterflies within one register, nearest lanes first.

constexpr float kInverseRoot2 = 0.70710678118654752F;
// Registers a pass combines: every level has at least sixteen, and eight do three stages per load and store.
constexpr std::size_t kPass = 8;

template <class Simd>
void flip_signs(float* x, const std::uint64_t* signs, std::size_t n) noexcept {
  constexpr std::size_t kWordBits = 64;
  std::size_t i = 0;
  for (; i + Simd::kLanes <= n; i += Simd::kLanes) {
    const auto bits = static_cast<std::uint32_t>(signs[i / kWordBits] >> (i % kWordBits));
    Simd::store(x + i, Simd::flip(Simd::load(x + i), bits));
  }
  for (; i < n; ++i) {
    if ((signs[i / kWordBits] >> (i % kWordBits) & 1U) != 0) x[i] = -x[i];
  }
}

// 1 / sqrt(n) of a power of two, by the same steps on every level.
inline float inverse_root(std::size_t n) noexcept {
  float root = 1.0F;
  for (; n >= 4; n /= 4) root *= 0.5F;
  return n == 2 ? root * kInverseRoot2 : root;
}

// (a, b) becomes (a + b, a - b).
template <class Simd>
void butterfly(typename Simd::Register& a, typename Simd::Register& b) noexcept {
  const auto sum = Simd::add(a, b);
  b = Simd::sub(a, b);
  a = sum;
}

// The stages among 2, 4 or 8 registers, nearest first.
template <class Simd, std::size_t kWidth>
void butterflies(typename Simd::Register* r) noexcept {
  constexpr std::size_t kHalf = kWidth / 2;
  if constexpr (kHalf > 1) {
    butterflies<Simd, kHalf>(r);
    butterflies<Simd, kHalf>(r + kHalf);
  }
  for (std::size_t i = 0; i < kHalf; ++i) butterfly<Simd>(r[i], r[kHalf + i]);
}

// All stages below kWidth * kLanes, on scaled values: scaling first keeps large values from overflowing on the way.
template <class Simd, std::size_t kWidth>
void near_stages(float* x, std::size_t n, float scale) noexcept {
  for (std::size_t i = 0; i < n; i += kWidth * Simd::kLanes) {
    typename Simd::Register r[kWidth];
    for (std::size_t j = 0; j < kWidth; ++j) {
      r[j] = Simd::stages(Simd::multiply(Simd::load(x + i + j * Simd::kLanes), scale));
    }
    butterflies<Simd, kWidth>(r);
    for (std::size_t j = 0; j < kWidth; ++j) Simd::store(x + i + j * Simd::kLanes, r[j]);
  }
}

// The stages from distance h to below kWidth * h, with one pass over memory.
template <class Simd, std::size_t kWidth>
void far_stages(float* x, std::size_t n, std::size_t h) noexcept {
  for (std::size_t begin = 0; begin < n; begin += kWidth * h) {
    for (std::size_t i = begin; i < begin + h; i += Simd::kLanes) {
      typename Simd::Register r[kWidth];
      for (std::size_t j = 0; j < kWidth; ++j) r[j] = Simd::load(x + i + j * h);
      butterflies<Simd, kWidth>(r);
      for (std::size_t j = 0; j < kWidth; ++j) Simd::store(x + i + j * h, r[j]);
    }
  }
}

// Too short for the registers of the level.
inline void short_hadamard(float* x, std::size_t n, float scale) noexcept {
  for (std::size_t i = 0; i < n; ++i) x[i] *= scale;
  for (std::size_t h = 1; h < n; h *= 2) {
    for (std::size_t i = 0; i < n; ++i) {
      if ((i & h) != 0) continue;
      const float a = x[i];
      x[i] = a + x[i + h];
      x[i + h] = a - x[i + h];
    }
  }
}

template <class Simd>
void hadamard(float* x, std::size_t n) noexcept {
  const float scale = inverse_root(n);
  if (n < kPass * Simd::kLanes) {
    short_hadamard(x, n, scale);
    return;
  }
  near_stages<Simd, kPass>(x, n, scale);
  std::size_t h = kPass * Simd::kLanes;
  for (; kPass * h <= n; h *= kPass) far_stages<Simd, kPass>(x, n, h);
  if (n / h == 4) far_stages<Simd, 4>(x, n, h);
  if (n / h == 2) far_stages<Simd, 2>(x, n, h);
}

template <class Simd>
void mix(float* x, std::size_t n) noexcept {
  const std::size_t half = n / 2;
  std::size_t i = 0;
  for (; i + Simd::kLanes <= half; i += Simd::kLanes) {
    auto a = Simd::load(x + i);
    auto b = Simd::load(x + half + i);
    butterfly<Simd>(a, b);
    Simd::store(x + i, Simd::multiply(a, kInverseRoot2));
    Simd::store(x + half + i, Simd::multiply(b, kInverseRoot2));
  }
  for (; i < half; ++i) {
    const float a = x[i];
    const float b = x[half + i];
    x[i] = (a + b) * kInverseRoot2;
    x[half + i] = (a - b) * kInverseRoot2;
  }
}

template <class Simd>
constexpr RotationKernels table() noexcept {
  return {flip_signs<Simd>, hadamard<Simd>, mix<Simd>};
}
