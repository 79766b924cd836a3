// The plain loops. Included inside a namespace of the level's name.

template <std::size_t Item>
void join_bytes(const std::uint8_t* __restrict in, std::uint8_t* __restrict out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t b = 0; b < Item; ++b) out[i * Item + b] = in[b * count + i];
  }
}

inline void unshuffle_bytes(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t item) {
  if (item == 1) return join_bytes<1>(in, out, count);
  return item == 2 ? join_bytes<2>(in, out, count) : join_bytes<4>(in, out, count);
}

// A matrix of 8 x 8 bits, a row a byte, the other way round (Hacker's Delight, 7-3, for the lowest bit
// first).
inline std::uint64_t transpose_bits(std::uint64_t rows) {
  std::uint64_t swapped = (rows ^ (rows >> 7)) & 0x00AA00AA00AA00AAull;
  rows ^= swapped ^ (swapped << 7);
  swapped = (rows ^ (rows >> 14)) & 0x0000CCCC0000CCCCull;
  rows ^= swapped ^ (swapped << 14);
  swapped = (rows ^ (rows >> 28)) & 0x00000000F0F0F0F0ull;
  return rows ^ swapped ^ (swapped << 28);
}

// Items 8 * first to 8 * last.
inline void join_bits(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t item,
                      std::size_t first, std::size_t last) {
  const std::size_t plane = count / 8;
  for (std::size_t b = 0; b < item; ++b) {
    for (std::size_t j = first; j < last; ++j) {
      std::uint64_t rows = 0;
      for (std::size_t k = 0; k < 8; ++k) {
        rows |= static_cast<std::uint64_t>(in[(8 * b + k) * plane + j]) << (8 * k);
      }
      rows = transpose_bits(rows);
      for (std::size_t i = 0; i < 8; ++i) {
        out[(8 * j + i) * item + b] = static_cast<std::uint8_t>(rows >> (8 * i));
      }
    }
  }
}
