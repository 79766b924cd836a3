// Sums of 8-bit values with fixed weights, rounded to levels. Whole numbers: every SIMD level gives the same
// bits by construction. Weights are fixed point, kWeightBits after the point.

// The shift rounds down, also below zero, where the level becomes 0 anyway.
inline std::uint8_t level_of(std::int32_t sum) {
  const std::int32_t level = (sum + (1 << (kWeightBits - 1))) >> kWeightBits;
  return static_cast<std::uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

// Eight sums side by side. Written out for AVX2: the compiler's own vectors spill where widths are mixed.
#if defined(__AVX2__)
struct Sums8 {
  __m256i sums = _mm256_setzero_si256();

  void add(const std::uint8_t* in, std::int32_t weight) {
    const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in)));
    sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(wide, _mm256_set1_epi32(weight)));
  }
  void put(std::uint8_t* out) const {
    const __m256i half = _mm256_set1_epi32(1 << (kWeightBits - 1));
    const __m256i levels = _mm256_srai_epi32(_mm256_add_epi32(sums, half), kWeightBits);
    const __m128i narrow =
        _mm_packs_epi32(_mm256_castsi256_si128(levels), _mm256_extracti128_si256(levels, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi16(narrow, narrow));
  }
};
#else
struct Sums8 {
  std::int32_t sums[8] = {};

  void add(const std::uint8_t* in, std::int32_t weight) {
    for (int i = 0; i < 8; ++i) sums[i] += weight * static_cast<std::int32_t>(in[i]);
  }
  void put(std::uint8_t* out) const {
    for (int i = 0; i < 8; ++i) out[i] = level_of(sums[i]);
  }
};
#endif

template <int Channels>
void horizontal_levels_of(const std::uint8_t* __restrict tile, const int* __restrict first,
                          const int* __restrict taps, const std::int32_t* __restrict weights,
                          std::size_t stride, std::size_t width, std::uint8_t* __restrict out) {
  static_assert(kRows == 8, "one vector a channel");
  for (std::size_t x = 0; x < width; ++x) {
    Sums8 sum[Channels];
    const std::uint8_t* source = tile + static_cast<std::size_t>(first[x]) * Channels * kRows;
    const std::int32_t* weight = weights + x * stride;
    for (int k = 0; k < taps[x]; ++k, source += Channels * kRows) {
      for (int c = 0; c < Channels; ++c) sum[c].add(source + c * kRows, weight[k]);
    }
    for (int c = 0; c < Channels; ++c) sum[c].put(out + (x * Channels + c) * kRows);
  }
}

inline void horizontal_levels(const std::uint8_t* tile, const int* first, const int* taps,
                              const std::int32_t* weights, std::size_t stride, std::size_t width,
                              int channels, std::uint8_t* out) {
  switch (channels) {
    case 1:
      return horizontal_levels_of<1>(tile, first, taps, weights, stride, width, out);
    case 3:
      return horizontal_levels_of<3>(tile, first, taps, weights, stride, width, out);
    default:
      return horizontal_levels_of<4>(tile, first, taps, weights, stride, width, out);
  }
}

template <int Vectors>
void vertical_levels_of(const std::uint8_t* __restrict rows, std::size_t row_bytes,
                        const std::int32_t* __restrict weights, int taps, std::uint8_t* __restrict out) {
  Sums8 sum[Vectors];
  for (int k = 0; k < taps; ++k, rows += row_bytes) {
    for (int v = 0; v < Vectors; ++v) sum[v].add(rows + v * 8, weights[k]);
  }
  for (int v = 0; v < Vectors; ++v) sum[v].put(out + v * 8);
}

inline void vertical_levels(const std::uint8_t* rows, std::size_t row_bytes, const std::int32_t* weights,
                            int taps, std::size_t count, std::uint8_t* out) {
  std::size_t i = 0;
  for (; i + 32 <= count; i += 32) vertical_levels_of<4>(rows + i, row_bytes, weights, taps, out + i);
  for (; i + 8 <= count; i += 8) vertical_levels_of<1>(rows + i, row_bytes, weights, taps, out + i);
  if (i == count) return;
  if (count >= 8) {  // the last eight, some of them again
    return vertical_levels_of<1>(rows + count - 8, row_bytes, weights, taps, out + count - 8);
  }
  for (; i < count; ++i) {
    std::int32_t sum = 0;
    for (int k = 0; k < taps; ++k) sum += weights[k] * static_cast<std::int32_t>(rows[k * row_bytes + i]);
    out[i] = level_of(sum);
  }
}
