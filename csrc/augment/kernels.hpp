// The inner loops of resampling, one table of them a SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/weights.hpp"
#include "core/cpu.hpp"

namespace medshard::augment {

// Rows that the horizontal pass takes together: one SIMD lane a row.
constexpr int kRows = 8;

struct Kernels {
  // out[i] += weight * in[i], i < count; `in` of the type that the name says.
  void (*accumulate_u8)(float* out, const std::uint8_t* in, float weight, std::size_t count);
  void (*accumulate_u16)(float* out, const std::uint16_t* in, float weight, std::size_t count);
  void (*accumulate_i16)(float* out, const std::int16_t* in, float weight, std::size_t count);
  void (*accumulate_f32)(float* out, const float* in, float weight, std::size_t count);

  // tile[i * kRows + r] = rows[r * stride + i], i < count.
  void (*transpose)(const float* rows, std::size_t stride, std::size_t count, float* tile);

  // For every output pixel x and channel c, and each of the kRows rows:
  //   out[(x * channels + c) * kRows + r] = sum over k < taps[x] of
  //       weights[x * stride + k] * tile[((first[x] + k) * channels + c) * kRows + r]
  void (*horizontal)(const float* tile, const int* first, const int* taps, const float* weights,
                     std::size_t stride, std::size_t width, int channels, float* out);

  // Places xs, ys among the cells of a grid that begins at cell (x0, y0): the cell before each, clamped so
  // that one follows it, and how far it is to that one.
  void (*offsets)(const double* xs, const double* ys, double x0, double y0, int height, int width, int count,
                  int* out, float* right, float* below);

  // out[i] = the four cells from grid[offsets[i]], weighted.
  void (*bilinear)(const float* grid, const int* offsets, const float* right, const float* below, int step_x,
                   int step_y, int count, float* out);

  // In whole numbers, rounded to 8-bit levels (levels.inl): `horizontal` of 8-bit rows, and
  // out[i] = sum over k < taps of weights[k] * rows[k * row_bytes + i], i < count.
  void (*horizontal_levels)(const std::uint8_t* tile, const int* first, const int* taps,
                            const std::int32_t* weights, std::size_t stride, std::size_t width, int channels,
                            std::uint8_t* out);
  void (*vertical_levels)(const std::uint8_t* rows, std::size_t row_bytes, const std::int32_t* weights,
                          int taps, std::size_t count, std::uint8_t* out);
};

const Kernels& scalar_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();

// The table of a level that available_simd() lists.
const Kernels& kernels_of(core::Simd level);

}  // namespace medshard::augment
