// The positions of the set bits of every byte, for levels without a compressing instruction. Included like driver.h.

constexpr std::size_t kByteValues = 256;
constexpr std::size_t kByteBits = 8;

struct ByteLists {
  alignas(64) std::uint8_t at[kByteValues][kByteBits];
};

constexpr ByteLists byte_lists() noexcept {
  ByteLists lists{};
  for (std::size_t byte = 0; byte < kByteValues; ++byte) {
    std::size_t n = 0;
    for (std::size_t bit = 0; bit < kByteBits; ++bit) {
      if ((byte >> bit & 1U) != 0) lists.at[byte][n++] = static_cast<std::uint8_t>(bit);
    }
  }
  return lists;
}

constexpr ByteLists kByteLists = byte_lists();
