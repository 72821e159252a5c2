// Products of packed codes with vpdpbusd, 64 dimensions an instruction, and of bit planes with vpopcntq.
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx512_vnni {
namespace {

#include "simd/code_distance/avx512_registers.h"
#include "simd/code_distance/bit_driver.h"
#include "simd/code_distance/driver.h"

template <unsigned kCodeBits>
struct Simd {
  using Register = Lanes;
  using Query = __m512i;
  static constexpr std::size_t kBits = kCodeBits;
  static constexpr std::size_t kParts = 1;
  static constexpr std::size_t kQueries = 4;

  static Lanes zero() noexcept { return Lanes{}; }
  static Lanes start(const std::int8_t*, std::size_t) noexcept { return zero(); }
  static __m512i load_query(const std::int8_t* query) noexcept { return _mm512_loadu_si512(query); }
  static __m512i unpack(const std::uint8_t* code, std::size_t) noexcept { return unpack_block<kBits>(code); }
  static Lanes step(Lanes sum, __m512i codes, __m512i query) noexcept {
    return reinterpret_cast<Lanes>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), codes, query));
  }
  static Lanes add(Lanes a, Lanes b) noexcept { return a + b; }
  static void reduce(const Lanes* sums, std::int32_t* out) noexcept { reduce_lanes(sums, out); }
};

struct Bits : BitRegisters {
  static __m512i count(__m512i code, __m512i plane) noexcept {
    return _mm512_popcnt_epi64(_mm512_and_si512(code, plane));
  }
  static __m512i gather(__m512i counts, __m512i count, std::size_t p) noexcept {
    if (p == 0) return _mm512_add_epi64(counts, count);
    return _mm512_dpbusd_epi32(counts, count, _mm512_set1_epi8(static_cast<char>(1U << p)));
  }
  static __m512i widen(__m512i sum, __m512i counts) noexcept { return _mm512_add_epi64(sum, counts); }
};

constexpr std::size_t kGathered = BitCodeKernels::kGathered;
constexpr std::size_t kMaxPlanes = 8;
constexpr std::size_t kMaxBits = 8;

__mmask64 bits_of(const std::uint8_t* code) noexcept {
  std::uint64_t word;
  __builtin_memcpy(&word, code, sizeof word);
  return word;
}

// The values of block b of a code of kBits bits, put together from its parts. A byte holds every part where it is
// shifted to, so shifts of wider lanes carry nothing over.
template <unsigned kBits>
__m512i unpack_parts(const std::uint8_t* record, const CodeKernels::Part* part, std::size_t b) noexcept {
  constexpr unsigned kLeft = kBits - 1;
  const auto next = [&](std::size_t block_bytes) { return record + (part++)->offset + b * block_bytes; };
  __m512i values = _mm512_maskz_mov_epi8(bits_of(next(8)), _mm512_set1_epi8(static_cast<char>(1U << kLeft)));
  if constexpr ((kLeft & 4U) != 0) {
    values = _mm512_or_si512(values, _mm512_slli_epi16(unpack_block<4>(next(32)), kLeft & 3U));
  }
  if constexpr ((kLeft & 2U) != 0) {
    values = _mm512_or_si512(values, _mm512_slli_epi16(unpack_block<2>(next(16)), kLeft & 1U));
  }
  if constexpr ((kLeft & 1U) != 0) {
    values = _mm512_mask_add_epi8(values, bits_of(next(8)), values, _mm512_set1_epi8(1));
  }
  return values;
}

template <unsigned kBits>
void parts_products(const std::uint8_t* const* records, const CodeKernels::Parts& parts, const std::int8_t* query,
                    std::size_t dim, std::int32_t* out) noexcept {
  constexpr std::size_t kMaxParts = 4;
  CodeKernels::Part part[kMaxParts] = {};
  for (std::size_t p = 0; p < parts.n; ++p) part[p] = parts.data[p];
  Lanes sums[kGathered] = {};
  for (std::size_t b = 0; b < dim / kBlock; ++b) {
    const __m512i values = _mm512_loadu_si512(query + b * kBlock);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kGathered; ++r) {
      sums[r] = Simd<kBits>::step(sums[r], unpack_parts<kBits>(records[r], part, b), values);
    }
  }
  reduce_lanes(sums, out);
  reduce_lanes(sums + kGathered / 2, out + kGathered / 2);
}

using PartsX8 = CodeKernels::PartsX8;

void gathered_parts(const std::uint8_t* const* records, const CodeKernels::Parts& parts, const std::int8_t* query,
                    std::size_t dim, std::int32_t* out) noexcept {
  static constexpr PartsX8 kByBits[kMaxBits + 1] = {nullptr,           nullptr,           parts_products<2>,
                                                    parts_products<3>, parts_products<4>, parts_products<5>,
                                                    parts_products<6>, parts_products<7>, parts_products<8>};
  kByBits[parts.data[0].shift + 1](records, parts, query, dim, out);
}

// The weight of a plane is the unsigned operand of vpdpbusd: that of plane 7 is no signed byte, a count always is one.
__m512i weighed(__m512i sum, __m512i code, __m512i plane, std::size_t p) noexcept {
  const __m512i count = _mm512_popcnt_epi64(_mm512_and_si512(code, plane));
  if (p == 0) return _mm512_add_epi64(sum, count);
  return _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(static_cast<char>(1U << p)), count);
}

// The sums of the 64-bit lanes, small values, of each of eight registers: two registers share one, each in its half of
// the lanes, and every level of the transposition adds.
__m256 products_of(const __m512i* sums) noexcept {
  constexpr __mmask16 kOdd = 0xAAAA;
  __m512i pairs[kGathered / 2];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kGathered / 2; ++i) {
    pairs[i] = _mm512_mask_shuffle_epi32(sums[2 * i], kOdd, sums[2 * i + 1], _MM_PERM_CCAA);
  }
  const __m512i low =
      _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[0], pairs[1]), _mm512_unpackhi_epi64(pairs[0], pairs[1]));
  const __m512i high =
      _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[2], pairs[3]), _mm512_unpackhi_epi64(pairs[2], pairs[3]));
  const __m512i halves = _mm512_add_epi32(_mm512_shuffle_i64x2(low, high, _MM_SHUFFLE(1, 0, 1, 0)),
                                          _mm512_shuffle_i64x2(low, high, _MM_SHUFFLE(3, 2, 3, 2)));
  const __m512i all = _mm512_add_epi32(_mm512_shuffle_i64x2(halves, halves, _MM_SHUFFLE(2, 0, 2, 0)),
                                       _mm512_shuffle_i64x2(halves, halves, _MM_SHUFFLE(3, 1, 3, 1)));
  return _mm256_cvtepi32_ps(_mm512_castsi512_si256(all));
}

// address() of bit_driver.h without its branches, which a list of any length would make the processor guess.
void address_eight(const CodeRows& all, const std::uint32_t* slots, std::size_t n,
                   const std::uint8_t** records) noexcept {
  const std::size_t last = n < kGathered ? n - 1 : kGathered - 1;
  const __m256i places =
      _mm256_min_epu32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(static_cast<int>(last)));
  const __m256i some = _mm256_maskz_loadu_epi32(BitRegisters::mask(n), slots);
  const __m512i eight = _mm512_cvtepu32_epi64(_mm256_permutevar8x32_epi32(some, places));
  const __m512i offsets = _mm512_mullo_epi64(eight, _mm512_set1_epi64(static_cast<long long>(all.stride)));
  const __m512i first = _mm512_set1_epi64(reinterpret_cast<long long>(all.data));
  _mm512_storeu_si512(records, _mm512_add_epi64(offsets, first));
}

__m512 four_factors(const std::uint8_t* const* records, std::size_t sign_bytes) noexcept {
  const auto at = [&](std::size_t r) { return _mm_loadu_ps(reinterpret_cast<const float*>(records[r] + sign_bytes)); };
  __m512 four = _mm512_castps128_ps512(at(0));
  four = _mm512_mask_broadcast_f32x4(four, 0x00F0, at(1));
  four = _mm512_mask_broadcast_f32x4(four, 0x0F00, at(2));
  return _mm512_mask_broadcast_f32x4(four, 0xF000, at(3));
}

// finish() of bit_driver.h for eight rows.
struct Finish {
  explicit Finish(const BitCodeKernels::DistanceQuery& query) noexcept
      : sign_bytes(query.planes.words * sizeof(std::uint64_t)),
        few(query.centroid_mask < BitCodeKernels::DistanceQuery::kRoom),
        centroid_adds(query.centroid_adds),
        first_adds(_mm512_loadu_ps(query.centroid_adds)),
        mask(_mm256_set1_epi32(static_cast<int>(query.centroid_mask))),
        scale(_mm256_set1_ps(query.scale)),
        offset(_mm256_set1_ps(query.offset)),
        base(_mm256_set1_ps(query.base)) {}

  __m256 operator()(const std::uint8_t* const* records, const __m512i* sums) const noexcept {
    const __m512 first = four_factors(records, sign_bytes);
    const __m512 last = four_factors(records + kGathered / 2, sign_bytes);
    const __m256 add = column<0>(first, last);
    const __m256 rescale = column<1>(first, last);
    const __m256i packed = _mm256_castps_si256(column<3>(first, last));
    const __m256 ones = _mm256_cvtepi32_ps(_mm256_and_si256(packed, _mm256_set1_epi32(0xFFFF)));
    const __m256i centroid = _mm256_and_si256(_mm256_srli_epi32(packed, 16), mask);
    const __m256 of_centroid =
        few ? _mm512_castps512_ps256(_mm512_permutexvar_ps(_mm512_castsi256_si512(centroid), first_adds))
            : _mm256_i32gather_ps(centroid_adds, centroid, sizeof(float));
    const __m256 exact = _mm256_fmadd_ps(scale, products_of(sums), _mm256_fmadd_ps(offset, ones, base));
    return _mm256_fmadd_ps(rescale, exact, _mm256_add_ps(add, of_centroid));
  }

  // One of the four factors of eight rows.
  template <int kField>
  static __m256 column(__m512 first, __m512 last) noexcept {
    const __m512i at = _mm512_add_epi32(_mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 28, 24, 20, 16, 12, 8, 4, 0),
                                        _mm512_set1_epi32(kField));
    return _mm512_castps512_ps256(_mm512_permutex2var_ps(first, at, last));
  }

  std::size_t sign_bytes;
  bool few;
  const float* centroid_adds;
  __m512 first_adds;
  __m256i mask;
  __m256 scale;
  __m256 offset;
  __m256 base;
};

// Codes of one register: the planes stay in theirs for the whole call.
template <std::size_t kPlanes>
void short_distances(const CodeRows& all, const std::uint32_t* slots, std::size_t n,
                     const BitCodeKernels::DistanceQuery& query, float* out) noexcept {
  const std::size_t words = query.planes.words;
  const __mmask8 mask = BitRegisters::mask(words);
  __m512i planes[kPlanes];
#pragma GCC unroll 8
  for (std::size_t p = 0; p < kPlanes; ++p) {
    planes[p] = _mm512_maskz_loadu_epi64(mask, query.planes.planes + p * words);
  }
  const Finish finish_eight(query);
  for (std::size_t i = 0; i < n; i += kGathered) {
    const std::uint8_t* records[kGathered];
    address_eight(all, slots + i, n - i, records);
    __m512i sums[kGathered];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kGathered; ++r) {
      const __m512i code = _mm512_maskz_loadu_epi64(mask, records[r]);
      sums[r] = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (std::size_t p = 0; p < kPlanes; ++p) sums[r] = weighed(sums[r], code, planes[p], p);
    }
    _mm256_storeu_ps(out + i, finish_eight(records, sums));
  }
}

template <std::size_t kPlanes>
void long_distances(const CodeRows& all, const std::uint32_t* slots, std::size_t n,
                    const BitCodeKernels::DistanceQuery& query, float* out) noexcept {
  const std::size_t words = query.planes.words;
  const Finish finish_eight(query);
  for (std::size_t i = 0; i < n; i += kGathered) {
    const std::uint8_t* records[kGathered];
    address_eight(all, slots + i, n - i, records);
    __m512i sums[kGathered];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kGathered; ++r) sums[r] = _mm512_setzero_si512();
    for (std::size_t w = 0; w < words; w += BitRegisters::kWords) {
      const __mmask8 mask = BitRegisters::mask(words - w);
      __m512i codes[kGathered];
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kGathered; ++r) {
        codes[r] = _mm512_maskz_loadu_epi64(mask, records[r] + w * sizeof(std::uint64_t));
      }
#pragma GCC unroll 8
      for (std::size_t p = 0; p < kPlanes; ++p) {
        const __m512i plane = _mm512_maskz_loadu_epi64(mask, query.planes.planes + p * words + w);
#pragma GCC unroll 8
        for (std::size_t r = 0; r < kGathered; ++r) sums[r] = weighed(sums[r], codes[r], plane, p);
      }
    }
    _mm256_storeu_ps(out + i, finish_eight(records, sums));
  }
}

void gathered_distances(const CodeRows& all, const std::uint32_t* slots, std::size_t n,
                        const BitCodeKernels::DistanceQuery& query, float* out) noexcept {
  static constexpr BitCodeKernels::Distances kShort[kMaxPlanes] = {
      short_distances<1>, short_distances<2>, short_distances<3>, short_distances<4>,
      short_distances<5>, short_distances<6>, short_distances<7>, short_distances<8>};
  static constexpr BitCodeKernels::Distances kLong[kMaxPlanes] = {
      long_distances<1>, long_distances<2>, long_distances<3>, long_distances<4>,
      long_distances<5>, long_distances<6>, long_distances<7>, long_distances<8>};
  const auto& distances = query.planes.words <= BitRegisters::kWords ? kShort : kLong;
  distances[query.planes.bits - 1](all, slots, n, query, out);
}

}  // namespace

extern const CodeKernels kCode = table<Simd>(gathered_parts);
extern const BitCodeKernels kBitCode = bit_table<Bits>(gathered_distances, cut_registers);

}  // namespace vdb::avx512_vnni
