// Rotation, shear and elastic displacement: where the pixels of an output lie on a grid, and bilinear
// interpolation there.
#pragma once

#include <vector>

#include "augment/elastic.hpp"
#include "augment/kernels.hpp"
#include "augment/picture.hpp"
#include "augment/weights.hpp"

namespace medshard::augment {

// (x, y) becomes (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]).
struct Affine {
  double m[6] = {1, 0, 0, 0, 1, 0};
};

// An output point goes through `before`, is displaced, and goes through `map` onto a grid of `height` x
// `width` cells. Points are continuous: the middle of the first pixel is (0.5, 0.5).
struct Warp {
  Affine map, before;
  Elastic elastic;
  int height = 0, width = 0;  // of the grid
  int out_height = 0, out_width = 0;
  Border border = Border::constant;
};

// Cells of the grid that the interpolation reads: those from -1 to height or width are of the border.
struct Cells {
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  int width() const { return x1 - x0; }
  int height() const { return y1 - y0; }
};

class Warper {
 public:
  // Throws DecodeError when the map is not usable.
  void prepare(const Warp& warp);

  const Cells& cells() const { return cells_; }

  // Grid coordinates of the middles of an output row's pixels, by the border within the grid (constant: at
  // most a cell outside). Valid until the next call.
  void locate(int row);
  const double* xs() const { return xs_.data(); }
  const double* ys() const { return ys_.data(); }

  // `grid` holds cells(); the output is (grid.channels, out_height, out_width).
  void interpolate(const Kernels& kernels, const Picture& grid, Picture& out);

 private:
  Warp warp_;
  Cells cells_;
  Lattice lattice_;
  std::vector<double> xs_, ys_;
  std::vector<int> offsets_;
  std::vector<float> right_, below_;
};

}  // namespace medshard::augment
