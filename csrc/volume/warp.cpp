#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>

#include "volume/elastic.hpp"
#include "volume/sampling.hpp"

namespace medshard::volume {
namespace {

// The stored points of one row of the output after another.
class Points {
 public:
  Points(const Warp& job, SamplingScratch& scratch, const SamplingKernels& kernels)
      : job_(job), width_(job.out_shape[2]), kernels_(kernels) {
    scratch.points.resize(3 * static_cast<std::size_t>(width_));
    for (int axis = 0; axis < 3; ++axis) points_[axis] = scratch.points.data() + axis * width_;
    if (job.elastic) displacement_ = std::make_unique<Displacement>(job, scratch, kernels);
  }

  const SamplingKernels& kernels() const { return kernels_; }

  const double* const* row(int z, int y) {
    const double* m = job_.elastic ? job_.plane_from_output : job_.source_from_plane;
    double begin[3], step[3];
    for (int axis = 0; axis < 3; ++axis) {
      begin[axis] = m[4 * axis] * z + m[4 * axis + 1] * y + m[4 * axis + 3];
      step[axis] = m[4 * axis + 2];
    }
    kernels_.ramp(begin, step, width_, points_);
    if (displacement_) {
      displacement_->move(points_, width_);
      kernels_.map(job_.source_from_plane, width_, points_);
    }
    return points_;
  }

 private:
  const Warp& job_;
  const int width_;
  const SamplingKernels& kernels_;
  double* points_[3];
  std::unique_ptr<Displacement> displacement_;
};

// (z + 2, y + 2, x + 2) float32 voxels of a channel, with a border of `outside`.
void padded(const Warp& job, const std::uint8_t* source, std::vector<float>& out, float& outside) {
  const std::size_t deep = job.source_shape[0], high = job.source_shape[1], wide = job.source_shape[2];
  const std::size_t item = bytes_of(job.stored), row = wide + 2, plane = row * (high + 2);
  const ToFloat to_float(job.stored);
  out.resize(plane * (deep + 2));
  for (std::size_t z = 0; z < deep; ++z) {
    for (std::size_t y = 0; y < high; ++y) {
      to_float(source + (z * high + y) * wide * item, &out[(z + 1) * plane + (y + 1) * row + 1], wide);
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
  PaddedBox box;
  box.voxels = scratch.voxels.data();
  box.row = static_cast<std::size_t>(job.source_shape[2]) + 2;
  box.plane = box.row * (static_cast<std::size_t>(job.source_shape[1]) + 2);
  for (int axis = 0; axis < 3; ++axis) {
    box.low[axis] = edge ? 0.0 : -1.0;
    box.high[axis] = edge ? job.source_shape[axis] - 1.0 : job.source_shape[axis];
    box.last[axis] = job.source_shape[axis];
  }
  scratch.row.resize(3 * static_cast<std::size_t>(width));
  scratch.places.resize(static_cast<std::size_t>(width));
  float* const rest[3] = {scratch.row.data(), scratch.row.data() + width, scratch.row.data() + 2 * width};
  std::int32_t* offset = scratch.places.data();
  for (int z = 0; z < job.out_shape[0]; ++z) {
    for (int y = 0; y < job.out_shape[1]; ++y, out += width) {
      points.kernels().cells(box, points.row(z, y), width, offset, rest);
      points.kernels().trilinear(box, offset, rest, width, out);
    }
  }
}

template <typename Label>
void nearest(const Warp& job, Points& points, SamplingScratch& scratch, const std::uint8_t* source,
             std::int32_t* out) {
  const auto* labels = reinterpret_cast<const Label*>(source);
  const int width = job.out_shape[2];
  scratch.places.resize(static_cast<std::size_t>(width));
  std::int32_t* offset = scratch.places.data();
  for (int z = 0; z < job.out_shape[0]; ++z) {
    for (int y = 0; y < job.out_shape[1]; ++y, out += width) {
      points.kernels().nearest(job.source_shape, points.row(z, y), width, offset);
      for (int x = 0; x < width; ++x)
        out[x] = offset[x] < 0 ? job.mask_outside : static_cast<std::int32_t>(labels[offset[x]]);
    }
  }
}

void nearest_of(const Warp& job, Points& points, SamplingScratch& scratch, const std::uint8_t* source,
                std::int32_t* out) {
  switch (job.stored) {
    case Type::u8:
      return nearest<std::uint8_t>(job, points, scratch, source, out);
    case Type::i8:
      return nearest<std::int8_t>(job, points, scratch, source, out);
    case Type::u16:
      return nearest<std::uint16_t>(job, points, scratch, source, out);
    case Type::i16:
      return nearest<std::int16_t>(job, points, scratch, source, out);
    case Type::u32:
      return nearest<std::uint32_t>(job, points, scratch, source, out);
    case Type::i32:
      return nearest<std::int32_t>(job, points, scratch, source, out);
    case Type::f32:
      return nearest<float>(job, points, scratch, source, out);
  }
}

}  // namespace

void warp(const Warp& job, SamplingScratch& scratch) {
  double cells = 1.0;
  for (const std::int32_t edge : job.source_shape) cells *= edge + 2.0;
  if (cells > std::numeric_limits<std::int32_t>::max())
    throw std::length_error("a crop would read a box of more than 2 ** 31 voxels");
  Points points(job, scratch, sampling_kernels_of(core::chosen_simd()));
  const std::size_t voxels =
      static_cast<std::size_t>(job.source_shape[0]) * job.source_shape[1] * job.source_shape[2];
  const std::size_t count = static_cast<std::size_t>(job.out_shape[0]) * job.out_shape[1] * job.out_shape[2];
  for (int channel = 0; channel < job.channels; ++channel) {
    const std::uint8_t* source =
        reinterpret_cast<const std::uint8_t*>(job.source) + channel * voxels * bytes_of(job.stored);
    if (job.nearest) {
      nearest_of(job, points, scratch, source, reinterpret_cast<std::int32_t*>(job.out) + channel * count);
    } else {
      interpolate(job, points, scratch, source, reinterpret_cast<float*>(job.out) + channel * count);
    }
  }
}

}  // namespace medshard::volume
