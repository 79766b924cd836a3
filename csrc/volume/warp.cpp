#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "volume/elastic.hpp"
#include "volume/sampling.hpp"

namespace medshard::volume {
namespace {

// A voxel's nearest label is the upper one of two alike; this much lower counts as alike.
constexpr double kAlike = 1e-9;

// The stored points of one row of the output after another.
class Points {
 public:
  Points(const Warp& job, SamplingScratch& scratch) : job_(job), width_(job.out_shape[2]) {
    scratch.points.resize(6 * static_cast<std::size_t>(width_));
    z_ = scratch.points.data();
    y_ = z_ + width_;
    x_ = y_ + width_;
    if (job.elastic) displacement_ = std::make_unique<Displacement>(job, scratch);
  }

  void row(int z, int y) {
    double* rows[3] = {z_, y_, x_};
    const double* m = job_.elastic ? job_.plane_from_output : job_.source_from_plane;
    for (int axis = 0; axis < 3; ++axis) {
      const double begin = m[4 * axis] * z + m[4 * axis + 1] * y + m[4 * axis + 3], step = m[4 * axis + 2];
      for (int x = 0; x < width_; ++x) rows[axis][x] = begin + step * x;
    }
    if (!job_.elastic) return;
    displacement_->move(z_, y_, x_, width_, m[2] == 0.0 && m[6] == 0.0);
    const double* s = job_.source_from_plane;
    for (int x = 0; x < width_; ++x) {
      const double a = z_[x], b = y_[x], c = x_[x];
      z_[x] = s[0] * a + s[1] * b + s[2] * c + s[3];
      y_[x] = s[4] * a + s[5] * b + s[6] * c + s[7];
      x_[x] = s[8] * a + s[9] * b + s[10] * c + s[11];
    }
  }

  const double* z() const { return z_; }
  const double* y() const { return y_; }
  const double* x() const { return x_; }

 private:
  const Warp& job_;
  const int width_;
  double *z_, *y_, *x_;
  std::unique_ptr<Displacement> displacement_;
};

// Whole part and rest of a place along an axis of a box with one voxel more on both sides.
inline void split(double place, double low, double high, std::int32_t last, std::int32_t& whole,
                  float& rest) {
  place = place < low ? low : place;
  place = place > high ? high : place;
  place += 1.0;
  std::int32_t floor = static_cast<std::int32_t>(place);
  floor = floor > last ? last : floor;
  whole = floor;
  rest = static_cast<float>(place - floor);
}

// (z + 2, y + 2, x + 2) float32 voxels of a channel, with a border of `outside`.
void padded(const Warp& job, const std::uint8_t* source, std::vector<float>& out, float& outside) {
  const std::size_t deep = job.source_shape[0], high = job.source_shape[1], wide = job.source_shape[2];
  const std::size_t item = bytes_of(job.stored), row = wide + 2, plane = row * (high + 2);
  out.resize(plane * (deep + 2));
  for (std::size_t z = 0; z < deep; ++z) {
    for (std::size_t y = 0; y < high; ++y) {
      to_float(job.stored, source + (z * high + y) * wide * item, &out[(z + 1) * plane + (y + 1) * row + 1],
               wide);
    }
  }
  if (job.outside_mode == Outside::minimum) {
    outside = std::numeric_limits<float>::infinity();
    for (std::size_t z = 1; z <= deep; ++z) {
      for (std::size_t y = 1; y <= high; ++y)
        outside = std::min(outside, least(&out[z * plane + y * row + 1], wide));
    }
  }
  std::fill_n(out.begin(), plane, outside);
  std::fill_n(out.end() - static_cast<std::ptrdiff_t>(plane), plane, outside);
  for (std::size_t z = 1; z <= deep; ++z) {
    float* first = &out[z * plane];
    std::fill_n(first, row, outside);
    std::fill_n(first + (high + 1) * row, row, outside);
    for (std::size_t y = 1; y <= high; ++y) first[y * row] = first[y * row + wide + 1] = outside;
  }
}

void interpolate(const Warp& job, Points& points, SamplingScratch& scratch, const std::uint8_t* source,
                 float* out) {
  float outside = job.outside;
  padded(job, source, scratch.voxels, outside);
  const bool edge = job.outside_mode == Outside::edge;
  const int width = job.out_shape[2];
  const std::size_t row = static_cast<std::size_t>(job.source_shape[2]) + 2;
  const std::size_t plane = row * (static_cast<std::size_t>(job.source_shape[1]) + 2);
  double low[3], high[3];
  std::int32_t last[3];
  for (int axis = 0; axis < 3; ++axis) {
    low[axis] = edge ? 0.0 : -1.0;
    high[axis] = edge ? job.source_shape[axis] - 1.0 : job.source_shape[axis];
    last[axis] = job.source_shape[axis];
  }
  scratch.row.resize(3 * static_cast<std::size_t>(width));
  scratch.places.resize(3 * static_cast<std::size_t>(width));
  float* rest = scratch.row.data();
  std::int32_t* whole = scratch.places.data();
  for (int z = 0; z < job.out_shape[0]; ++z) {
    for (int y = 0; y < job.out_shape[1]; ++y, out += width) {
      points.row(z, y);
      for (int x = 0; x < width; ++x) split(points.z()[x], low[0], high[0], last[0], whole[x], rest[x]);
      for (int x = 0; x < width; ++x)
        split(points.y()[x], low[1], high[1], last[1], whole[width + x], rest[width + x]);
      for (int x = 0; x < width; ++x)
        split(points.x()[x], low[2], high[2], last[2], whole[2 * width + x], rest[2 * width + x]);
      for (int x = 0; x < width; ++x) {
        const float* at =
            scratch.voxels.data() + whole[x] * plane + whole[width + x] * row + whole[2 * width + x];
        const float fz = rest[x], fy = rest[width + x], fx = rest[2 * width + x];
        const float* below = at + plane;
        const float a = at[0] + (at[1] - at[0]) * fx, b = at[row] + (at[row + 1] - at[row]) * fx;
        const float c = below[0] + (below[1] - below[0]) * fx;
        const float d = below[row] + (below[row + 1] - below[row]) * fx;
        const float upper = a + (b - a) * fy, lower = c + (d - c) * fy;
        out[x] = upper + (lower - upper) * fz;
      }
    }
  }
}

template <typename Label>
void nearest(const Warp& job, Points& points, const std::uint8_t* source, std::int32_t* out) {
  const auto* labels = reinterpret_cast<const Label*>(source);
  const double deep = job.source_shape[0], high = job.source_shape[1], wide = job.source_shape[2];
  const std::size_t row = job.source_shape[2], plane = row * job.source_shape[1];
  for (int z = 0; z < job.out_shape[0]; ++z) {
    for (int y = 0; y < job.out_shape[1]; ++y, out += job.out_shape[2]) {
      points.row(z, y);
      for (int x = 0; x < job.out_shape[2]; ++x) {
        const double a = std::floor(points.z()[x] + 0.5 + kAlike),
                     b = std::floor(points.y()[x] + 0.5 + kAlike),
                     c = std::floor(points.x()[x] + 0.5 + kAlike);
        const bool inside = a >= 0 && a < deep && b >= 0 && b < high && c >= 0 && c < wide;
        out[x] = inside ? static_cast<std::int32_t>(
                              labels[static_cast<std::size_t>(a) * plane + static_cast<std::size_t>(b) * row +
                                     static_cast<std::size_t>(c)])
                        : job.mask_outside;
      }
    }
  }
}

void nearest_of(const Warp& job, Points& points, const std::uint8_t* source, std::int32_t* out) {
  switch (job.stored) {
    case Type::u8:
      return nearest<std::uint8_t>(job, points, source, out);
    case Type::i8:
      return nearest<std::int8_t>(job, points, source, out);
    case Type::u16:
      return nearest<std::uint16_t>(job, points, source, out);
    case Type::i16:
      return nearest<std::int16_t>(job, points, source, out);
    case Type::u32:
      return nearest<std::uint32_t>(job, points, source, out);
    case Type::i32:
      return nearest<std::int32_t>(job, points, source, out);
    case Type::f32:
      return nearest<float>(job, points, source, out);
  }
}

}  // namespace

void warp(const Warp& job, SamplingScratch& scratch) {
  Points points(job, scratch);
  const std::size_t voxels =
      static_cast<std::size_t>(job.source_shape[0]) * job.source_shape[1] * job.source_shape[2];
  const std::size_t count = static_cast<std::size_t>(job.out_shape[0]) * job.out_shape[1] * job.out_shape[2];
  for (int channel = 0; channel < job.channels; ++channel) {
    const std::uint8_t* source =
        reinterpret_cast<const std::uint8_t*>(job.source) + channel * voxels * bytes_of(job.stored);
    if (job.nearest) {
      nearest_of(job, points, source, reinterpret_cast<std::int32_t*>(job.out) + channel * count);
    } else {
      interpolate(job, points, scratch, source, reinterpret_cast<float*>(job.out) + channel * count);
    }
  }
}

}  // namespace medshard::volume
