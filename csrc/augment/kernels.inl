// The loops themselves, plain C++: each including file is compiled with its own instruction set, and the
// compiler turns the fixed inner loops into vectors. Included inside a namespace of the level's name.

template <typename Sample>
void accumulate(float* __restrict out, const Sample* __restrict in, float weight, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] += weight * static_cast<float>(in[i]);
}

inline void transpose(const float* __restrict rows, std::size_t stride, std::size_t count,
                      float* __restrict tile) {
  for (std::size_t i = 0; i < count; ++i) {
    for (int r = 0; r < kRows; ++r) tile[i * kRows + r] = rows[r * stride + i];
  }
}

template <int Channels>
void horizontal_of(const float* __restrict tile, const int* __restrict first, const int* __restrict taps,
                   const float* __restrict weights, std::size_t stride, std::size_t width,
                   float* __restrict out) {
  for (std::size_t x = 0; x < width; ++x) {
    float sum[Channels * kRows] = {};
    const float* source = tile + static_cast<std::size_t>(first[x]) * Channels * kRows;
    const float* weight = weights + x * stride;
    for (int k = 0; k < taps[x]; ++k) {
      for (int i = 0; i < Channels * kRows; ++i) sum[i] += weight[k] * source[i];
      source += Channels * kRows;
    }
    for (int i = 0; i < Channels * kRows; ++i) out[x * Channels * kRows + i] = sum[i];
  }
}

inline void horizontal(const float* tile, const int* first, const int* taps, const float* weights,
                       std::size_t stride, std::size_t width, int channels, float* out) {
  switch (channels) {
    case 1:
      return horizontal_of<1>(tile, first, taps, weights, stride, width, out);
    case 3:
      return horizontal_of<3>(tile, first, taps, weights, stride, width, out);
    default:
      return horizontal_of<4>(tile, first, taps, weights, stride, width, out);
  }
}

#include "augment/levels.inl"

inline const Kernels& table() {
  static const Kernels kernels = {accumulate<std::uint8_t>,
                                  accumulate<std::uint16_t>,
                                  accumulate<std::int16_t>,
                                  accumulate<float>,
                                  transpose,
                                  horizontal,
                                  horizontal_levels,
                                  vertical_levels};
  return kernels;
}
