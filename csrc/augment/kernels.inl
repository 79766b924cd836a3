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

inline void offsets(const double* __restrict xs, const double* __restrict ys, double x0, double y0,
                    int height, int width, int count, int* __restrict out, float* __restrict right,
                    float* __restrict below) {
  const int last_x = width > 1 ? width - 2 : 0, last_y = height > 1 ? height - 2 : 0;
  for (int i = 0; i < count; ++i) {
    const double x = xs[i] - x0, y = ys[i] - y0;  // not negative: truncation is the floor
    int column = static_cast<int>(x), row = static_cast<int>(y);
    column = column < 0 ? 0 : column > last_x ? last_x : column;
    row = row < 0 ? 0 : row > last_y ? last_y : row;
    right[i] = static_cast<float>(x - column);
    below[i] = static_cast<float>(y - row);
    out[i] = row * width + column;
  }
}

inline void bilinear(const float* __restrict grid, const int* __restrict at, const float* __restrict right,
                     const float* __restrict below, int step_x, int step_y, int count,
                     float* __restrict out) {
  for (int i = 0; i < count; ++i) {
    const float* cell = grid + at[i];
    const float upper = cell[0] + right[i] * (cell[step_x] - cell[0]);
    const float lower = cell[step_y] + right[i] * (cell[step_y + step_x] - cell[step_y]);
    out[i] = upper + below[i] * (lower - upper);
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
                                  offsets,
                                  bilinear,
                                  horizontal_levels,
                                  vertical_levels};
  return kernels;
}
