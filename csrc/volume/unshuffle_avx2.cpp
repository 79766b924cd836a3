#include <immintrin.h>

#include "volume/unshuffle.hpp"

namespace medshard::volume {
namespace avx2_level {
#include "volume/unshuffle.inl"

// As transpose_bits, four matrices side by side.
inline __m256i transpose_four(__m256i rows) {
  __m256i swapped = _mm256_and_si256(_mm256_xor_si256(rows, _mm256_srli_epi64(rows, 7)),
                                     _mm256_set1_epi64x(0x00AA00AA00AA00AAll));
  rows = _mm256_xor_si256(rows, _mm256_xor_si256(swapped, _mm256_slli_epi64(swapped, 7)));
  swapped = _mm256_and_si256(_mm256_xor_si256(rows, _mm256_srli_epi64(rows, 14)),
                             _mm256_set1_epi64x(0x0000CCCC0000CCCCll));
  rows = _mm256_xor_si256(rows, _mm256_xor_si256(swapped, _mm256_slli_epi64(swapped, 14)));
  swapped = _mm256_and_si256(_mm256_xor_si256(rows, _mm256_srli_epi64(rows, 28)),
                             _mm256_set1_epi64x(0x00000000F0F0F0F0ll));
  return _mm256_xor_si256(rows, _mm256_xor_si256(swapped, _mm256_slli_epi64(swapped, 28)));
}

// One byte of 256 items from 32 bytes of each of its eight bit planes. Place m of `out` has items 16 m .. 16
// m + 15 in its lower half and 128 + 16 m .. in its upper one, since vectors are joined within halves.
inline void join_planes(const std::uint8_t* in, std::size_t plane, __m256i* out) {
  __m256i row[8], pair[8];
  for (int k = 0; k < 8; ++k) row[k] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + k * plane));
  for (int k = 0; k < 4; ++k) {
    pair[2 * k] = _mm256_unpacklo_epi8(row[2 * k], row[2 * k + 1]);
    pair[2 * k + 1] = _mm256_unpackhi_epi8(row[2 * k], row[2 * k + 1]);
  }
  // pair[2k + h]: planes 2k and 2k + 1 of columns 8 h .. 8 h + 7
  for (int h = 0; h < 2; ++h) {
    const __m256i low0 = _mm256_unpacklo_epi16(pair[h], pair[2 + h]),
                  low1 = _mm256_unpackhi_epi16(pair[h], pair[2 + h]);
    const __m256i high0 = _mm256_unpacklo_epi16(pair[4 + h], pair[6 + h]),
                  high1 = _mm256_unpackhi_epi16(pair[4 + h], pair[6 + h]);
    out[4 * h] = transpose_four(_mm256_unpacklo_epi32(low0, high0));
    out[4 * h + 1] = transpose_four(_mm256_unpackhi_epi32(low0, high0));
    out[4 * h + 2] = transpose_four(_mm256_unpacklo_epi32(low1, high1));
    out[4 * h + 3] = transpose_four(_mm256_unpackhi_epi32(low1, high1));
  }
}

inline void store_halves(std::uint8_t* out, std::size_t low, std::size_t high, __m256i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + low), _mm256_castsi256_si128(value));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + high), _mm256_extracti128_si256(value, 1));
}

void unshuffle_bits(const std::uint8_t* in, std::uint8_t* out, std::size_t count, std::size_t item) {
  const std::size_t plane = count / 8, whole = plane / 32 * 32;
  for (std::size_t j = 0; j < whole; j += 32) {
    __m256i byte[4][8];
    for (std::size_t b = 0; b < item; ++b) join_planes(in + 8 * b * plane + j, plane, byte[b]);
    for (std::size_t m = 0; m < 8; ++m) {
      const std::size_t low = (8 * j + 16 * m) * item, high = low + 128 * item;
      if (item == 1) {
        store_halves(out, low, high, byte[0][m]);
      } else if (item == 2) {
        store_halves(out, low, high, _mm256_unpacklo_epi8(byte[0][m], byte[1][m]));
        store_halves(out, low + 16, high + 16, _mm256_unpackhi_epi8(byte[0][m], byte[1][m]));
      } else {
        const __m256i a0 = _mm256_unpacklo_epi8(byte[0][m], byte[1][m]),
                      a1 = _mm256_unpackhi_epi8(byte[0][m], byte[1][m]);
        const __m256i b0 = _mm256_unpacklo_epi8(byte[2][m], byte[3][m]),
                      b1 = _mm256_unpackhi_epi8(byte[2][m], byte[3][m]);
        store_halves(out, low, high, _mm256_unpacklo_epi16(a0, b0));
        store_halves(out, low + 16, high + 16, _mm256_unpackhi_epi16(a0, b0));
        store_halves(out, low + 32, high + 32, _mm256_unpacklo_epi16(a1, b1));
        store_halves(out, low + 48, high + 48, _mm256_unpackhi_epi16(a1, b1));
      }
    }
  }
  join_bits(in, out, count, item, whole, plane);
}
}  // namespace avx2_level

const Unshufflers& avx2_unshufflers() {
  static const Unshufflers table = {avx2_level::unshuffle_bytes, avx2_level::unshuffle_bits};
  return table;
}

}  // namespace medshard::volume
