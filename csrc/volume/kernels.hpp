// The inner loops of sampling a volume, one table of them a SIMD level; every level gives the same bits.
// They work on one row of the output: `points` are its z, y and x, `count` of each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu.hpp"

namespace medshard::volume {

// A box of float32 voxels with one more on each side, and what is held within it.
struct PaddedBox {
  const float* voxels;
  std::size_t row, plane;  // voxels from one y, one z to the next
  double low[3],
      high[3];           // places beyond are held here, counted from the box's first voxel inside the border
  std::int32_t last[3];  // the last voxel, counted with the border, that one follows
};

// Nodes of a lattice, each with z, y, x and a fourth number.
struct Nodes {
  const double* values;
  std::int64_t low[3];  // the first node
  std::size_t high, wide;
};

struct SamplingKernels {
  // begin + i * step.
  void (*ramp)(const double begin[3], const double step[3], int count, double* const points[3]);

  // Through a matrix (3, 4).
  void (*map)(const double* matrix, int count, double* const points[3]);

  // Each point moves by the sum over four nodes of weights[4 * i + c] * line[first[i] + c], of which each has
  // z, y, x and a fourth number.
  void (*bend)(const double (*line)[4], const std::int32_t* first, const double* weights, int count,
               double* const points[3]);

  // Each point moves by the cubic B-spline of the 64 nodes around it.
  void (*bend_freely)(const Nodes& nodes, const double spacing[3], int count, double* const points[3]);

  // The voxel before each point, and how far it is to the next one.
  void (*cells)(const PaddedBox& box, const double* const points[3], int count, std::int32_t* offset,
                float* const rest[3]);

  // Trilinear interpolation of the eight voxels from offset[i] on.
  void (*trilinear)(const PaddedBox& box, const std::int32_t* offset, const float* const rest[3], int count,
                    float* out);

  // The number of the voxel nearest to each point in a box of `shape` without a border, the upper one of two
  // alike; -1 outside.
  void (*nearest)(const std::int32_t shape[3], const double* const points[3], int count,
                  std::int32_t* offset);
};

const SamplingKernels& scalar_sampling_kernels();
const SamplingKernels& avx2_sampling_kernels();
const SamplingKernels& avx512_sampling_kernels();

// The table of a level that available_simd() lists.
const SamplingKernels& sampling_kernels_of(core::Simd level);

}  // namespace medshard::volume
