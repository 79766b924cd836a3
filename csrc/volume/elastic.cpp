#include "volume/elastic.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace medshard::volume {
namespace {

constexpr std::size_t kMostNodes = std::size_t{1} << 22;

// The finaliser of SplitMix64 on a state and a counter, as medshard/loader/counter.py folds them.
std::uint64_t fold(std::uint64_t state, std::int64_t counter) {
  state = (state ^ static_cast<std::uint64_t>(counter)) + 0x9E3779B97F4A7C15u;
  state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
  state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
  return state ^ (state >> 31);
}

double unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-52 - 1.0; }

#include "volume/spline.inl"

}  // namespace

void displace(std::uint64_t seed, const double spacing[3], const double amplitude[3], double point[3]) {
  Spline along[3];
  for (int axis = 0; axis < 3; ++axis) along[axis] = spline_at(point[axis] / spacing[axis]);
  for (int axis = 0; axis < 3; ++axis) {
    const std::uint64_t of_axis = fold(seed, axis);
    double total = 0.0;
    for (int a = 0; a < 4; ++a) {
      const std::uint64_t of_z = fold(of_axis, along[0].node + a);
      for (int b = 0; b < 4; ++b) {
        const std::uint64_t of_y = fold(of_z, along[1].node + b);
        for (int c = 0; c < 4; ++c) {
          total += along[0].weights[a] * along[1].weights[b] * along[2].weights[c] *
                   unit(fold(of_y, along[2].node + c));
        }
      }
    }
    point[axis] += total * amplitude[axis];
  }
}

Displacement::Displacement(const Warp& job, SamplingScratch& scratch, const SamplingKernels& kernels)
    : kernels_(kernels), lattice_(scratch.lattice), lines_(scratch.lines) {
  const double* m = job.plane_from_output;
  straight_ = m[2] == 0.0 && m[6] == 0.0;
  std::size_t nodes = 1;
  for (int axis = 0; axis < 3; ++axis) {
    double low = m[4 * axis + 3], high = low;
    for (int other = 0; other < 3; ++other) {
      const double reach = m[4 * axis + other] * (job.out_shape[other] - 1);
      (reach < 0 ? low : high) += reach;
    }
    spacing_[axis] = job.spacing[axis];
    const double first = std::floor(low / spacing_[axis]) - 2.0;
    const double last = std::floor(high / spacing_[axis]) + 3.0;
    if (!(last - first < static_cast<double>(kMostNodes)))
      throw std::runtime_error("the lattice of the elastic displacement is too fine");
    low_[axis] = static_cast<std::int64_t>(first);
    size_[axis] = static_cast<std::size_t>(last - first) + 1;
    nodes *= size_[axis];
    if (nodes > kMostNodes) throw std::runtime_error("the lattice of the elastic displacement is too fine");
  }
  lattice_.assign(4 * nodes, 0.0);
  for (int axis = 0; axis < 3; ++axis) {
    double* to = lattice_.data() + axis;
    const std::uint64_t of_axis = fold(job.seed, axis);
    for (std::size_t z = 0; z < size_[0]; ++z) {
      const std::uint64_t of_z = fold(of_axis, low_[0] + static_cast<std::int64_t>(z));
      for (std::size_t y = 0; y < size_[1]; ++y) {
        const std::uint64_t of_y = fold(of_z, low_[1] + static_cast<std::int64_t>(y));
        for (std::size_t x = 0; x < size_[2]; ++x, to += 4)
          *to = unit(fold(of_y, low_[2] + static_cast<std::int64_t>(x))) * job.amplitude[axis];
      }
    }
  }
}

void Displacement::move(double* const points[3], int count) {
  if (count == 0) return;
  if (straight_) {
    move_straight(points, count);
  } else {
    kernels_.bend_freely({lattice_.data(), {low_[0], low_[1], low_[2]}, size_[1], size_[2]}, spacing_, count,
                         points);
  }
}

// Sixteen lines of the lattice become one, once for the row.
void Displacement::move_straight(double* const points[3], int count) {
  const Spline sz = spline_at(points[0][0] / spacing_[0]), sy = spline_at(points[1][0] / spacing_[1]);
  lines_.assign(4 * size_[2], 0.0);
  for (int a = 0; a < 4; ++a) {
    for (int b = 0; b < 4; ++b) {
      const double weight = sz.weights[a] * sy.weights[b];
      const double* from = node(sz.node + a, sy.node + b, low_[2]);
      for (std::size_t k = 0; k < lines_.size(); ++k) lines_[k] += weight * from[k];
    }
  }
  set_places(points[2], count);
  kernels_.bend(reinterpret_cast<const double(*)[4]>(lines_.data()), first_.data(), weights_.data(), count,
                points);
}

// Rows run along the same x as a rule.
void Displacement::set_places(const double* x, int count) {
  const auto places = static_cast<std::size_t>(count);
  if (first_.size() == places && x[0] == from_ && x[count - 1] == to_) return;
  first_.resize(places);
  weights_.resize(4 * places);
  for (std::size_t i = 0; i < places; ++i) {
    const Spline sx = spline_at(x[i] / spacing_[2]);
    first_[i] = static_cast<std::int32_t>(sx.node - low_[2]);
    std::copy(sx.weights, sx.weights + 4, weights_.begin() + static_cast<std::ptrdiff_t>(4 * i));
  }
  from_ = x[0];
  to_ = x[count - 1];
}

}  // namespace medshard::volume
