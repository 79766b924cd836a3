// Displacements by cubic B-splines on a lattice of random values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "volume/kernels.hpp"
#include "volume/sampling.hpp"

namespace medshard::volume {

// Moves one point (z, y, x) of the plane.
void displace(std::uint64_t seed, const double spacing[3], const double amplitude[3], double point[3]);

// The lattice under a crop, and what it does to rows of points.
class Displacement {
 public:
  // Throws std::runtime_error when the lattice would have more than 2 ** 22 nodes.
  Displacement(const Warp& job, SamplingScratch& scratch, const SamplingKernels& kernels);

  // Moves `count` points of the plane, those of one row of the output.
  void move(double* const points[3], int count);

 private:
  void move_straight(double* const points[3], int count);
  void set_places(const double* x, int count);
  const double* node(std::int64_t z, std::int64_t y, std::int64_t x) const {
    return lattice_.data() +
           4 * ((static_cast<std::size_t>(z - low_[0]) * size_[1] + static_cast<std::size_t>(y - low_[1])) *
                    size_[2] +
                static_cast<std::size_t>(x - low_[2]));
  }

  const SamplingKernels& kernels_;
  bool straight_;  // z and y of the plane are the same all along a row
  double spacing_[3];
  std::int64_t low_[3];
  std::size_t size_[3];
  std::vector<double>& lattice_;  // four a node: what it moves z, y and x, and nothing
  std::vector<double>& lines_;    // likewise, of the lattice at the z and y of a row
  std::vector<std::int32_t> first_;
  std::vector<double> weights_;
  double from_ = 0.0, to_ = 0.0;  // the row that first_ and weights_ are of
};

}  // namespace medshard::volume
