#include "augment/warp.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace medshard::augment {
namespace {

struct Span {
  double low, high;
};

// What `x0..x1, y0..y1` becomes: the axis-aligned hull.
void hull(const Affine& affine, Span& x, Span& y) {
  const double* m = affine.m;
  const double xs[4] = {x.low, x.high, x.low, x.high}, ys[4] = {y.low, y.low, y.high, y.high};
  Span u{INFINITY, -INFINITY}, v{INFINITY, -INFINITY};
  for (int i = 0; i < 4; ++i) {
    const double a = m[0] * xs[i] + m[1] * ys[i] + m[2], b = m[3] * xs[i] + m[4] * ys[i] + m[5];
    u = {std::min(u.low, a), std::max(u.high, a)};
    v = {std::min(v.low, b), std::max(v.high, b)};
  }
  x = u, y = v;
}

// Cells that an interpolation at places `span` reads, one more on each side against rounding.
void cells_of(Span span, int size, Border border, int& begin, int& end) {
  span = {std::floor(span.low - 0.5) - 1.0, std::floor(span.high - 0.5) + 3.0};
  const double last = size - 1.0;
  if (border == Border::reflect && (span.low < 0 || span.high > size)) {
    span = {std::min(span.low, 2 * last - span.high), std::max(span.high, -span.low + 1.0)};
  }
  const double lowest = border == Border::constant ? -1.0 : 0.0, highest = size - lowest;
  // At least one cell of the grid itself, which the filter makes, even where only the border is seen.
  begin = static_cast<int>(std::clamp(span.low, lowest, last));
  end = static_cast<int>(std::clamp(span.high, std::max(begin + 1.0, 1.0), highest));
}

// A place on the line of cell middles 0 .. last, by the border.
void bound(std::vector<double>& places, double last, Border border) {
  switch (border) {
    case Border::constant:
      for (double& place : places) place = std::min(std::max(place, -1.0), last + 1.0);
      return;
    case Border::edge:
      for (double& place : places) place = std::min(std::max(place, 0.0), last);
      return;
    default:
      for (double& place : places) {
        if (place >= 0.0 && place <= last) continue;
        if (last == 0.0) {
          place = 0.0;
          continue;
        }
        double turned = std::fmod(place, 2.0 * last);
        if (turned < 0.0) turned += 2.0 * last;
        place = turned <= last ? turned : 2.0 * last - turned;
      }
  }
}

}  // namespace

void Warper::prepare(const Warp& warp) {
  warp_ = warp;
  double sum = 0.0;
  for (int i = 0; i < 6; ++i) sum += std::abs(warp.map.m[i]) + std::abs(warp.before.m[i]);
  if (!(sum < 1e9) || warp.height < 1 || warp.width < 1) throw DecodeError("a warp without a usable map");
  const double* b = warp.before.m;
  if (warp.elastic.moves() && !(b[1] == 0.0 && b[3] == 0.0) && !(b[0] == 0.0 && b[4] == 0.0)) {
    throw DecodeError("what follows an elastic displacement turns by other than quarters");
  }
  Span x{0.5, warp.out_width - 0.5}, y{0.5, warp.out_height - 0.5};
  if (warp.elastic.moves()) {
    hull(warp.before, x, y);
    lattice_.prepare(warp.elastic, x.low, y.low, x.high, y.high);
    const double* reach = warp.elastic.amplitude;
    x = {x.low - std::abs(reach[0]), x.high + std::abs(reach[0])};
    y = {y.low - std::abs(reach[1]), y.high + std::abs(reach[1])};
  }
  hull(warp.map, x, y);
  cells_of(x, warp.width, warp.border, cells_.x0, cells_.x1);
  cells_of(y, warp.height, warp.border, cells_.y0, cells_.y1);
  xs_.resize(warp.out_width);
  ys_.resize(warp.out_width);
  offsets_.resize(warp.out_width);
  right_.resize(warp.out_width);
  below_.resize(warp.out_width);
  if (!warp.elastic.moves()) return;
  // What follows a displacement keeps rows rows, or makes them columns: every row has the same places along
  // it.
  const int axis = b[3] == 0.0 ? 0 : 1;
  for (int i = 0; i < warp.out_width; ++i)
    xs_[i] = axis == 0 ? b[0] * (i + 0.5) + b[2] : b[3] * (i + 0.5) + b[5];
  lattice_.set_line(axis, xs_.data(), warp.out_width);
}

void Warper::locate(int row) {
  const int count = warp_.out_width;
  const double y = row + 0.5;
  if (warp_.elastic.moves()) {
    const double* b = warp_.before.m;
    for (int i = 0; i < count; ++i) {
      const double x = i + 0.5;
      xs_[i] = b[0] * x + b[1] * y + b[2];
      ys_[i] = b[3] * x + b[4] * y + b[5];
    }
    lattice_.displace_line(b[3] == 0.0 ? ys_[0] : xs_[0], xs_.data(), ys_.data());
    const double* m = warp_.map.m;
    for (int i = 0; i < count; ++i) {
      const double px = xs_[i], py = ys_[i];
      xs_[i] = m[0] * px + m[1] * py + m[2] - 0.5;
      ys_[i] = m[3] * px + m[4] * py + m[5] - 0.5;
    }
  } else {
    const double* m = warp_.map.m;
    for (int i = 0; i < count; ++i) {
      const double x = i + 0.5;
      xs_[i] = m[0] * x + m[1] * y + m[2] - 0.5;
      ys_[i] = m[3] * x + m[4] * y + m[5] - 0.5;
    }
  }
  bound(xs_, warp_.width - 1.0, warp_.border);
  bound(ys_, warp_.height - 1.0, warp_.border);
}

void Warper::interpolate(const Kernels& kernels, const Picture& grid, Picture& out) {
  out.reshape(grid.channels, warp_.out_height, warp_.out_width);
  const int step_x = grid.width > 1 ? 1 : 0, step_y = grid.height > 1 ? grid.width : 0;
  for (int row = 0; row < warp_.out_height; ++row) {
    locate(row);
    kernels.offsets(xs_.data(), ys_.data(), cells_.x0, cells_.y0, grid.height, grid.width, warp_.out_width,
                    offsets_.data(), right_.data(), below_.data());
    for (int c = 0; c < grid.channels; ++c) {
      kernels.bilinear(grid.plane(c), offsets_.data(), right_.data(), below_.data(), step_x, step_y,
                       warp_.out_width, out.plane(c) + static_cast<std::size_t>(row) * warp_.out_width);
    }
  }
}

}  // namespace medshard::augment
