// Sums of 8-bit values with fixed weights. Whole numbers: every level gives the same bits by construction.

inline void accumulate_levels(std::int32_t* __restrict out, const std::uint8_t* __restrict in,
                              std::int32_t weight, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] += weight * static_cast<std::int32_t>(in[i]);
}

template <int Channels>
void horizontal_levels_of(const std::uint8_t* __restrict tile, const int* __restrict first,
                          const int* __restrict taps, const std::int32_t* __restrict weights,
                          std::size_t stride, std::size_t width, std::int32_t* __restrict out) {
  for (std::size_t x = 0; x < width; ++x) {
    std::int32_t sum[Channels * kRows] = {};
    const std::uint8_t* source = tile + static_cast<std::size_t>(first[x]) * Channels * kRows;
    const std::int32_t* weight = weights + x * stride;
    for (int k = 0; k < taps[x]; ++k) {
      for (int i = 0; i < Channels * kRows; ++i) sum[i] += weight[k] * static_cast<std::int32_t>(source[i]);
      source += Channels * kRows;
    }
    for (int i = 0; i < Channels * kRows; ++i) out[x * Channels * kRows + i] = sum[i];
  }
}

inline void horizontal_levels(const std::uint8_t* tile, const int* first, const int* taps,
                              const std::int32_t* weights, std::size_t stride, std::size_t width,
                              int channels, std::int32_t* out) {
  switch (channels) {
    case 1:
      return horizontal_levels_of<1>(tile, first, taps, weights, stride, width, out);
    case 3:
      return horizontal_levels_of<3>(tile, first, taps, weights, stride, width, out);
    default:
      return horizontal_levels_of<4>(tile, first, taps, weights, stride, width, out);
  }
}
