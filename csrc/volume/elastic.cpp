#include "volume/elastic.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace medshard::volume {
namespace {

constexpr std::size_t kMostNodes = std::size_t{1} << 24;

// The finaliser of SplitMix64 on a state and a counter, as medshard/loader/counter.py folds them.
std::uint64_t fold(std::uint64_t state, std::int64_t counter) {
  state = (state ^ static_cast<std::uint64_t>(counter)) + 0x9E3779B97F4A7C15u;
  state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
  state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
  return state ^ (state >> 31);
}

double unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-52 - 1.0; }

struct Spline {
  long node;
  double weights[4];
};

inline Spline spline_at(double at) {
  const double whole = std::floor(at), t = at - whole, u = 1.0 - t;
  const double t2 = t * t, t3 = t2 * t;
  return {static_cast<long>(whole) - 1,
          {u * u * u / 6.0, (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0, (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
           t3 / 6.0}};
}

}  // namespace

Displacement::Displacement(const Warp& job, SamplingScratch& scratch)
    : lattice_(scratch.lattice), lines_(scratch.lines) {
  const double* m = job.plane_from_output;
  std::size_t nodes = 3;
  for (int axis = 0; axis < 3; ++axis) {
    double low = m[4 * axis + 3], high = low;
    for (int other = 0; other < 3; ++other) {
      const double reach = m[4 * axis + other] * (job.out_shape[other] - 1);
      (reach < 0 ? low : high) += reach;
    }
    spacing_[axis] = job.spacing[axis];
    amplitude_[axis] = job.amplitude[axis];
    const double first = std::floor(low / spacing_[axis]) - 2.0;
    const double last = std::floor(high / spacing_[axis]) + 3.0;
    if (!(last - first < static_cast<double>(kMostNodes)))
      throw std::runtime_error("the lattice of the elastic displacement is too fine");
    low_[axis] = static_cast<long>(first);
    size_[axis] = static_cast<std::size_t>(last - first) + 1;
    nodes *= size_[axis];
    if (nodes > kMostNodes) throw std::runtime_error("the lattice of the elastic displacement is too fine");
  }
  lattice_.resize(nodes);
  double* to = lattice_.data();
  for (int axis = 0; axis < 3; ++axis) {
    const std::uint64_t of_axis = fold(job.seed, axis);
    for (std::size_t z = 0; z < size_[0]; ++z) {
      const std::uint64_t of_z = fold(of_axis, low_[0] + static_cast<long>(z));
      for (std::size_t y = 0; y < size_[1]; ++y) {
        const std::uint64_t of_y = fold(of_z, low_[1] + static_cast<long>(y));
        for (std::size_t x = 0; x < size_[2]; ++x) *to++ = unit(fold(of_y, low_[2] + static_cast<long>(x)));
      }
    }
  }
}

void Displacement::move(double* z, double* y, double* x, std::size_t count, bool straight) {
  if (count == 0) return;
  if (!straight) {
    for (std::size_t i = 0; i < count; ++i) {
      const Spline sz = spline_at(z[i] / spacing_[0]), sy = spline_at(y[i] / spacing_[1]),
                   sx = spline_at(x[i] / spacing_[2]);
      double moved[3];
      for (int axis = 0; axis < 3; ++axis) {
        double total = 0.0;
        for (int a = 0; a < 4; ++a) {
          for (int b = 0; b < 4; ++b) {
            double line = 0.0;
            for (int c = 0; c < 4; ++c)
              line += sx.weights[c] * node(axis, sz.node + a, sy.node + b, sx.node + c);
            total += sz.weights[a] * sy.weights[b] * line;
          }
        }
        moved[axis] = total * amplitude_[axis];
      }
      z[i] += moved[0];
      y[i] += moved[1];
      x[i] += moved[2];
    }
    return;
  }
  // Sixteen lines of the lattice become one, once for the row.
  const Spline sz = spline_at(z[0] / spacing_[0]), sy = spline_at(y[0] / spacing_[1]);
  lines_.assign(3 * size_[2], 0.0);
  for (int axis = 0; axis < 3; ++axis) {
    double* line = lines_.data() + axis * size_[2];
    for (int a = 0; a < 4; ++a) {
      for (int b = 0; b < 4; ++b) {
        const double weight = sz.weights[a] * sy.weights[b] * amplitude_[axis];
        const double* from =
            &lattice_[((axis * size_[0] + static_cast<std::size_t>(sz.node + a - low_[0])) * size_[1] +
                       static_cast<std::size_t>(sy.node + b - low_[1])) *
                      size_[2]];
        for (std::size_t c = 0; c < size_[2]; ++c) line[c] += weight * from[c];
      }
    }
  }
  const double* of_z = lines_.data();
  const double* of_y = of_z + size_[2];
  const double* of_x = of_y + size_[2];
  for (std::size_t i = 0; i < count; ++i) {
    const Spline sx = spline_at(x[i] / spacing_[2]);
    const std::size_t at = static_cast<std::size_t>(sx.node - low_[2]);
    double moved[3] = {0.0, 0.0, 0.0};
    for (int c = 0; c < 4; ++c) {
      moved[0] += sx.weights[c] * of_z[at + c];
      moved[1] += sx.weights[c] * of_y[at + c];
      moved[2] += sx.weights[c] * of_x[at + c];
    }
    z[i] += moved[0];
    y[i] += moved[1];
    x[i] += moved[2];
  }
}

}  // namespace medshard::volume
