// The loops of the bitset family, included by each level's file inside its own anonymous namespace (see
// simd/distance/driver.h).
//
// Simd: Register, kWords (64-bit words of a register), zero(), load(p), store(p, x), bit_and(a, b), bit_or(a, b),
// bit_andnot(a, b), which is a & ~b, count(sums, x), which adds the bits of x to sums, reduce(sums), occupied(x), a bit
// for each word that is not zero, list_word(bits, first, out), which lists one word, may write kListSlack values too
// many, and returns the list's end, and look_up(words, values, limit), the whole of a kernel.

constexpr std::uint32_t kWordBits = 64;
constexpr std::uint64_t kLastBit = std::uint64_t{1} << (kWordBits - 1);  // counting the zeros of zero is undefined
constexpr std::size_t kSums = 2;  // independent sums, so that one count need not wait for the one before
// Up to so many bits of a word are listed one after the other, in as many steps for each such word: a step too many
// costs less than a branch that is guessed wrong. More bits are listed at once (measured on Zen 4).
constexpr std::size_t kFewBits = 4;

inline std::size_t bits_of(std::uint64_t word) noexcept { return static_cast<std::size_t>(__builtin_popcountll(word)); }

// A register of one word: the rest of every level, and the whole of the scalar one.
struct Word {
  using Register = std::uint64_t;
  static constexpr std::size_t kWords = 1;

  static std::uint64_t zero() noexcept { return 0; }
  static std::uint64_t load(const std::uint64_t* p) noexcept { return *p; }
  static void store(std::uint64_t* p, std::uint64_t x) noexcept { *p = x; }
  static std::uint64_t bit_and(std::uint64_t a, std::uint64_t b) noexcept { return a & b; }
  static std::uint64_t bit_or(std::uint64_t a, std::uint64_t b) noexcept { return a | b; }
  static std::uint64_t bit_andnot(std::uint64_t a, std::uint64_t b) noexcept { return a & ~b; }
  static std::uint64_t count(std::uint64_t sum, std::uint64_t x) noexcept { return sum + bits_of(x); }
  static std::size_t reduce(std::uint64_t sum) noexcept { return sum; }

  static unsigned occupied(std::uint64_t x) noexcept { return x != 0 ? 1 : 0; }

  static std::uint32_t* list_word(std::uint64_t bits, std::uint32_t first, std::uint32_t* out) noexcept {
    for (; bits != 0; bits &= bits - 1) *out++ = first + static_cast<std::uint32_t>(__builtin_ctzll(bits));
    return out;
  }
  // The first bit last, so that each moves the others on by one.
  static std::uint32_t look_up(const std::uint64_t* words, const std::uint32_t* values, std::uint32_t limit) noexcept {
    std::uint32_t found = 0;
    for (std::size_t i = BitsetKernels::kLookedUp; i-- > 0;) {
      const std::uint64_t bit = values[i] < limit ? words[values[i] / kWordBits] >> (values[i] % kWordBits) & 1U : 0;
      found = 2 * found + static_cast<std::uint32_t>(bit);
    }
    return found;
  }
};

template <class Simd>
struct And {
  using Register = typename Simd::Register;
  static Register apply(Register a, Register b) noexcept { return Simd::bit_and(a, b); }
};

template <class Simd>
struct Or {
  using Register = typename Simd::Register;
  static Register apply(Register a, Register b) noexcept { return Simd::bit_or(a, b); }
};

template <class Simd>
struct AndNot {
  using Register = typename Simd::Register;
  static Register apply(Register a, Register b) noexcept { return Simd::bit_andnot(a, b); }
};

template <class Simd>
std::size_t count(const std::uint64_t* words, std::size_t n) noexcept {
  typename Simd::Register sums[kSums] = {Simd::zero(), Simd::zero()};
  std::size_t i = 0;
  for (; i + kSums * Simd::kWords <= n; i += kSums * Simd::kWords) {
    for (std::size_t s = 0; s < kSums; ++s) sums[s] = Simd::count(sums[s], Simd::load(words + i + s * Simd::kWords));
  }
  std::size_t total = Simd::reduce(sums[0]) + Simd::reduce(sums[1]);
  for (; i < n; ++i) total += bits_of(words[i]);
  return total;
}

template <class Simd, template <class> class Op>
std::size_t combine(const std::uint64_t* a, const std::uint64_t* b, std::size_t n, std::uint64_t* out) noexcept {
  typename Simd::Register sums[kSums] = {Simd::zero(), Simd::zero()};
  std::size_t i = 0;
  for (; i + kSums * Simd::kWords <= n; i += kSums * Simd::kWords) {
    for (std::size_t s = 0; s < kSums; ++s) {
      const std::size_t at = i + s * Simd::kWords;
      const auto words = Op<Simd>::apply(Simd::load(a + at), Simd::load(b + at));
      Simd::store(out + at, words);
      sums[s] = Simd::count(sums[s], words);
    }
  }
  std::size_t total = Simd::reduce(sums[0]) + Simd::reduce(sums[1]);
  for (; i < n; ++i) {
    out[i] = Op<Word>::apply(a[i], b[i]);
    total += bits_of(out[i]);
  }
  return total;
}

template <class Simd>
std::uint32_t* list_bits(std::uint64_t bits, std::uint32_t first, std::uint32_t* out) noexcept {
  static_assert(kFewBits <= BitsetKernels::kListSlack);
  const std::size_t n = bits_of(bits);
  if (n > kFewBits) return Simd::list_word(bits, first, out);
  for (std::size_t i = 0; i < kFewBits; ++i, bits &= bits - 1) {
    out[i] = first + static_cast<std::uint32_t>(__builtin_ctzll(bits | kLastBit));
  }
  return out + n;
}

// Most words of a selective filter are zero.
template <class Simd>
std::size_t list(const std::uint64_t* words, std::size_t n, std::uint32_t first, std::uint32_t* out) noexcept {
  std::uint32_t* end = out;
  std::size_t i = 0;
  for (; i + Simd::kWords <= n; i += Simd::kWords) {
    for (unsigned left = Simd::occupied(Simd::load(words + i)); left != 0; left &= left - 1) {
      const std::size_t at = i + static_cast<std::size_t>(__builtin_ctz(left));
      end = list_bits<Simd>(words[at], first + static_cast<std::uint32_t>(at) * kWordBits, end);
    }
  }
  for (; i < n; ++i) {
    if (words[i] != 0) end = list_bits<Simd>(words[i], first + static_cast<std::uint32_t>(i) * kWordBits, end);
  }
  return static_cast<std::size_t>(end - out);
}

template <class Simd>
constexpr BitsetKernels table() noexcept {
  return {count<Simd>, combine<Simd, And>, combine<Simd, Or>, combine<Simd, AndNot>, list<Simd>, Simd::look_up};
}
