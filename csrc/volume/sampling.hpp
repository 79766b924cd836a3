// Crops of volumes from boxes of stored voxels. The layouts are shared with Python
// (medshard/augment/volume/native.py); medshard/testing/reference_volume.py defines the results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "volume/convert.hpp"
#include "volume/crop.hpp"

namespace medshard::volume {

enum class Outside : std::uint8_t { value = 0, edge = 1, minimum = 2 };

// Axis by axis: out[n] = sum over t of weights[n][t] * in[first[n] + t].
struct Separable {
  std::uint64_t source;      // (channels, z, y, x) of the stored type
  std::uint64_t out;         // float32, likewise
  std::uint64_t first[3];    // int32, one an output place; -1 outside
  std::uint64_t weights[3];  // float32, `taps` an output place
  std::int32_t taps[3];
  std::int32_t channels;
  std::int32_t source_shape[3], out_shape[3];
  float outside;
  Type stored;
  Outside outside_mode;
  std::uint8_t labels;  // 1: out is int32, of each place the one at `first`
  std::uint8_t spare;
  std::int32_t mask_outside;
  std::int32_t spare_too;
};
static_assert(sizeof(Separable) == 120, "medshard/augment/volume/native.py holds the same layout");

// One interpolation. Matrices (3, 4) take (z, y, x, 1); indices of the box and of the output are centres.
struct Warp {
  std::uint64_t source;  // (channels, z, y, x) of the stored type
  std::uint64_t out;     // float32; int32 where `nearest`
  double source_from_plane[12], plane_from_output[12];
  double spacing[3], amplitude[3];  // of the lattice of the elastic displacement, in voxels of the plane
  std::uint64_t seed;
  std::int32_t channels;
  std::int32_t source_shape[3], out_shape[3];
  float outside;
  std::int32_t mask_outside;
  Type stored;
  std::uint8_t nearest, elastic;
  Outside outside_mode;
};
static_assert(sizeof(Warp) == 304, "medshard/augment/volume/native.py holds the same layout");

// What a thread keeps from crop to crop.
struct SamplingScratch {
  std::vector<float> voxels, first, second, row;
  std::vector<double> points, lattice, lines;
  std::vector<std::int32_t> places;
};

void separable(const Separable& job, SamplingScratch& scratch);

// Throws std::runtime_error when the displacement's lattice is too fine for the crop.
void warp(const Warp& job, SamplingScratch& scratch);

// Rows of stored values as float32, at the SIMD level in use when it was made.
class ToFloat {
 public:
  explicit ToFloat(Type stored);
  void operator()(const void* source, float* out, std::size_t count, bool reverse = false) const;

 private:
  Convert convert_;
};

// The least of `count` values.
float least(const float* values, std::size_t count);

}  // namespace medshard::volume
