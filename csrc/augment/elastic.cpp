#include "augment/elastic.hpp"

#include <cmath>
#include <cstddef>

#include "core/error.hpp"

namespace medshard::augment {
namespace {

constexpr std::size_t kMaxValues = 1u << 22;

// The finaliser of SplitMix64, as in medshard/loader/counter.py.
std::uint64_t fold(std::uint64_t state, std::uint64_t counter) {
  std::uint64_t value = (state ^ counter) + 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

// The four B-splines over a place `t` of the way from the second point to the third.
void splines(double t, double weights[4]) {
  const double s = 1.0 - t;
  weights[0] = s * s * s / 6.0;
  weights[1] = (4.0 + t * t * (3.0 * t - 6.0)) / 6.0;
  weights[2] = (4.0 + s * s * (3.0 * s - 6.0)) / 6.0;
  weights[3] = t * t * t / 6.0;
}

}  // namespace

double lattice_value(std::uint64_t seed, int axis, std::int64_t row, std::int64_t column) {
  const std::uint64_t state =
      fold(fold(fold(seed, static_cast<std::uint64_t>(axis)), static_cast<std::uint64_t>(row)),
           static_cast<std::uint64_t>(column));
  return static_cast<double>(state >> 11) * 0x1p-52 - 1.0;
}

void displace(const Elastic& elastic, double& x, double& y) {
  const double at_x = x / elastic.spacing[0], at_y = y / elastic.spacing[1];
  if (!(std::abs(at_x) < 0x1p52 && std::abs(at_y) < 0x1p52)) return;  // no such lattice point
  const double column = std::floor(at_x), row = std::floor(at_y);
  double across[4], down[4];
  splines(at_x - column, across);
  splines(at_y - row, down);
  double moved[2] = {0, 0};
  for (int axis = 0; axis < 2; ++axis) {
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 4; ++c) {
        moved[axis] += down[r] * across[c] *
                       lattice_value(elastic.seed, axis, static_cast<std::int64_t>(row) + r - 1,
                                     static_cast<std::int64_t>(column) + c - 1);
      }
    }
  }
  x += elastic.amplitude[0] * moved[0];
  y += elastic.amplitude[1] * moved[1];
}

void Lattice::prepare(const Elastic& elastic, double x0, double y0, double x1, double y1) {
  const double reach = std::abs(elastic.amplitude[0]) + std::abs(elastic.amplitude[1]);
  if (!(elastic.spacing[0] > 0 && elastic.spacing[1] > 0 && reach < 1e6)) {
    throw DecodeError("an elastic displacement without a usable spacing or amplitude");
  }
  elastic_ = elastic;
  column0_ = static_cast<std::int64_t>(std::floor(x0 / elastic.spacing[0])) - 1;
  row0_ = static_cast<std::int64_t>(std::floor(y0 / elastic.spacing[1])) - 1;
  const double columns = std::floor(x1 / elastic.spacing[0]) + 3.0 - static_cast<double>(column0_);
  const double rows = std::floor(y1 / elastic.spacing[1]) + 3.0 - static_cast<double>(row0_);
  if (!(columns * rows <= static_cast<double>(kMaxValues))) {
    throw DecodeError("an elastic displacement has too fine a lattice; take a larger sigma");
  }
  columns_ = static_cast<int>(columns);
  rows_ = static_cast<int>(rows);
  values_.resize(2ul * rows_ * columns_);
  std::size_t place = 0;
  for (int axis = 0; axis < 2; ++axis) {
    for (int r = 0; r < rows_; ++r) {
      for (int c = 0; c < columns_; ++c)
        values_[place++] = lattice_value(elastic.seed, axis, row0_ + r, column0_ + c);
    }
  }
}

void Lattice::set_line(int axis, const double* at, int count) {
  axis_ = axis;
  near_.resize(count);
  weights_.resize(4ul * count);
  const std::int64_t first = axis == 0 ? column0_ : row0_;
  for (int i = 0; i < count; ++i) {
    const double step = at[i] / elastic_.spacing[axis], whole = std::floor(step);
    splines(step - whole, &weights_[4ul * i]);
    near_[i] = static_cast<int>(static_cast<std::int64_t>(whole) - 1 - first);
  }
}

void Lattice::displace_line(double fixed, double* xs, double* ys) {
  const int along = axis_ == 0 ? columns_ : rows_;
  const std::size_t step_along = axis_ == 0 ? 1 : columns_, step_across = axis_ == 0 ? columns_ : 1;
  const std::size_t plane = static_cast<std::size_t>(rows_) * columns_;
  const double place = fixed / elastic_.spacing[1 - axis_], whole = std::floor(place);
  double across[4];
  splines(place - whole, across);
  const double* first =
      values_.data() + (static_cast<std::int64_t>(whole) - 1 - (axis_ == 0 ? row0_ : column0_)) *
                           static_cast<std::int64_t>(step_across);
  combined_.resize(2ul * along);
  for (int i = 0; i < along; ++i) {
    for (int moved = 0; moved < 2; ++moved) {
      const double* at = first + moved * plane + i * step_along;
      combined_[2 * i + moved] =
          elastic_.amplitude[moved] * (across[0] * at[0] + across[1] * at[step_across] +
                                       across[2] * at[2 * step_across] + across[3] * at[3 * step_across]);
    }
  }
  for (std::size_t i = 0; i < near_.size(); ++i) {
    const double *w = &weights_[4 * i], *c = &combined_[2ul * near_[i]];
    xs[i] += w[0] * c[0] + w[1] * c[2] + w[2] * c[4] + w[3] * c[6];
    ys[i] += w[0] * c[1] + w[1] * c[3] + w[2] * c[5] + w[3] * c[7];
  }
}

}  // namespace medshard::augment
