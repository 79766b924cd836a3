// A smooth random displacement: uniform noise on a lattice, joined by cubic B-splines.
#pragma once

#include <cstdint>
#include <vector>

namespace medshard::augment {

struct Elastic {
  std::uint64_t seed = 0;        // state of the counters (seed, epoch, item, operation)
  double spacing[2] = {0, 0};    // x, y: pixels between lattice points; 0 for no displacement
  double amplitude[2] = {0, 0};  // x, y: pixels that a lattice value of 1 moves

  bool moves() const { return spacing[0] > 0; }
};

// A number in [-1, 1) for a lattice point: axis 0 moves x, axis 1 moves y.
double lattice_value(std::uint64_t seed, int axis, std::int64_t row, std::int64_t column);

// Where one point goes.
void displace(const Elastic& elastic, double& x, double& y);

// The lattice values around a rectangle, kept, and the splines of a line of points, so that line after line
// of them is displaced at little cost.
class Lattice {
 public:
  // Values around x0..x1, y0..y1. Throws DecodeError when there would be too many.
  void prepare(const Elastic& elastic, double x0, double y0, double x1, double y1);

  // Lines run along an axis (0: x), through the places at[i] of it.
  void set_line(int axis, const double* at, int count);

  // The line at place `fixed` of the other axis: adds what its points move to xs and ys.
  void displace_line(double fixed, double* xs, double* ys);

 private:
  Elastic elastic_;
  std::int64_t row0_ = 0, column0_ = 0;
  int rows_ = 0, columns_ = 0, axis_ = 0;
  std::vector<double> values_;    // [axis][row][column]
  std::vector<double> combined_;  // [place along the line][axis]
  std::vector<int> near_;         // of each point, the first of four places along the line
  std::vector<double> weights_;   // four a point
};

}  // namespace medshard::augment
