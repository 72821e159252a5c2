// Bitmaps in 256-bit registers. Counting looks up nibbles (Mula, Kurz and Lemire 2018).
#include <immintrin.h>

#include "simd/tables.h"

namespace vdb::avx2 {
namespace {

#include "simd/bitset/byte_lists.h"
#include "simd/bitset/driver.h"

struct Simd {
  using Register = __m256i;
  static constexpr std::size_t kWords = 4;

  static __m256i zero() noexcept { return _mm256_setzero_si256(); }
  static __m256i load(const std::uint64_t* p) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store(std::uint64_t* p, __m256i x) noexcept { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }
  static __m256i bit_and(__m256i a, __m256i b) noexcept { return _mm256_and_si256(a, b); }
  static __m256i bit_or(__m256i a, __m256i b) noexcept { return _mm256_or_si256(a, b); }
  static __m256i bit_andnot(__m256i a, __m256i b) noexcept { return _mm256_andnot_si256(b, a); }

  static __m256i count(__m256i sums, __m256i x) noexcept {
    const __m256i bits_of_nibble = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                                    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i low = _mm256_shuffle_epi8(bits_of_nibble, _mm256_and_si256(x, nibble));
    const __m256i high = _mm256_shuffle_epi8(bits_of_nibble, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
    return _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256()));
  }

  static std::size_t reduce(__m256i sums) noexcept {
    const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return static_cast<std::size_t>(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
  }

  static unsigned occupied(__m256i x) noexcept {
    const __m256i zero_words = _mm256_cmpeq_epi64(x, _mm256_setzero_si256());
    return ~static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(zero_words))) & 0xfU;
  }

  // Eight lanes of a byte's list are stored, of which only the bits of the byte count.
  static std::uint32_t* list_word(std::uint64_t bits, std::uint32_t first, std::uint32_t* out) noexcept {
    for (; bits != 0; bits >>= kByteBits, first += kByteBits) {
      const std::uint64_t byte = bits % kByteValues;
      const __m128i list = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kByteLists.at[byte]));
      const __m256i slots = _mm256_add_epi32(_mm256_cvtepu8_epi32(list), _mm256_set1_epi32(static_cast<int>(first)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), slots);
      out += bits_of(byte);
    }
    return out;
  }
  static std::uint32_t look_up(const std::uint64_t* words, const std::uint32_t* values, std::uint32_t limit) noexcept {
    return Word::look_up(words, values, limit);
  }
};

}  // namespace

extern const BitsetKernels kBitset = table<Simd>();

}  // namespace vdb::avx2
