// Displacements by cubic B-splines on a lattice of random values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "volume/sampling.hpp"

namespace medshard::volume {

// The lattice under a crop, and what it does to a row of points.
class Displacement {
 public:
  // Throws std::runtime_error when the lattice would have more than 2 ** 24 nodes.
  Displacement(const Warp& job, SamplingScratch& scratch);

  // Moves `count` points of the plane, given as three rows z, y, x; z and y of all are equal where
  // `straight`.
  void move(double* z, double* y, double* x, std::size_t count, bool straight);

 private:
  double node(int axis, long z, long y, long x) const {
    return lattice_[((axis * size_[0] + static_cast<std::size_t>(z - low_[0])) * size_[1] +
                     static_cast<std::size_t>(y - low_[1])) *
                        size_[2] +
                    static_cast<std::size_t>(x - low_[2])];
  }

  double spacing_[3], amplitude_[3];
  long low_[3];
  std::size_t size_[3];
  std::vector<double>& lattice_;
  std::vector<double>& lines_;
};

}  // namespace medshard::volume
