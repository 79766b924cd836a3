#include "volume/filters.hpp"

#include <algorithm>
#include <cmath>

#include "augment/neighbourhood.hpp"
#include "augment/values.hpp"

namespace medshard::volume {
namespace {

using augment::ValueKernels;

const ValueKernels& kernels() { return augment::value_kernels_of(core::chosen_simd()); }

// -1 to 1 over an axis; 0 where it has one place.
double centred(int place, int length) { return length > 1 ? 2.0 * place / (length - 1) - 1.0 : 0.0; }

// A Gaussian cut off at four deviations; its middle weight alone where it is narrower than a voxel.
std::vector<float> taps_of(double sigma) {
  const int radius = static_cast<int>(4.0 * sigma + 0.5);
  std::vector<double> heights;
  double total = 0.0;
  for (int k = -radius; k <= radius; ++k) {
    heights.push_back(radius > 0 ? std::exp(-0.5 * (k / sigma) * (k / sigma)) : 1.0);
    total += heights.back();
  }
  std::vector<float> taps;
  for (const double height : heights) taps.push_back(static_cast<float>(height / total));
  return taps;
}

// One row along x, into `out`.
void blur_row(const ValueKernels& loops, const float* row, int wide, const std::vector<float>& taps,
              StepScratch& scratch, float* out) {
  const int count = static_cast<int>(taps.size()), radius = count / 2;
  scratch.line.resize(static_cast<std::size_t>(wide) + 2 * radius);
  scratch.rows.resize(count);
  float* line = scratch.line.data();
  std::copy(row, row + wide, line + radius);
  for (int x = 1; x <= radius; ++x) {
    line[radius - x] = row[augment::reflected(-x, wide)];
    line[radius + wide - 1 + x] = row[augment::reflected(wide - 1 + x, wide)];
  }
  for (int k = 0; k < count; ++k) scratch.rows[k] = line + k;
  loops.weighted_sum(scratch.rows.data(), taps.data(), count, wide, out);
}

// `from` holds `many` rows of `length` values; each row of `out` is mixed from those around it.
void blur_across(const ValueKernels& loops, const float* from, int many, std::size_t length,
                 const std::vector<float>& taps, StepScratch& scratch, float* out) {
  const int count = static_cast<int>(taps.size()), radius = count / 2;
  scratch.rows.resize(count);
  for (int row = 0; row < many; ++row) {
    for (int k = 0; k < count; ++k)
      scratch.rows[k] = from + static_cast<std::size_t>(augment::reflected(row + k - radius, many)) * length;
    loops.weighted_sum(scratch.rows.data(), taps.data(), count, length, out + row * length);
  }
}

// The two places that linear interpolation takes along an axis of `length`, of place `n` of `count`.
struct Pair {
  int first, second;
  float weight;  // of the second
};

Pair pair_of(int n, int count, int length) {
  const double centre = std::clamp((n + 0.5) * length / count - 0.5, 0.0, length - 1.0);
  const int first = std::min(static_cast<int>(centre), std::max(0, length - 2));
  return {first, std::min(first + 1, length - 1), static_cast<float>(centre - first)};
}

}  // namespace

void blur(float* values, const std::int32_t shape[3], const float sigma[3], StepScratch& scratch) {
  const ValueKernels& loops = kernels();
  const std::vector<float> along_z = taps_of(sigma[0]), along_y = taps_of(sigma[1]),
                           along_x = taps_of(sigma[2]);
  const int high = shape[1], wide = shape[2];
  const std::size_t plane = static_cast<std::size_t>(high) * wide;
  scratch.plane.resize(plane);
  for (int z = 0; z < shape[0]; ++z) {
    float* own = values + z * plane;
    for (std::size_t at = 0; at < plane; at += wide)
      blur_row(loops, own + at, wide, along_x, scratch, scratch.plane.data() + at);
    blur_across(loops, scratch.plane.data(), high, wide, along_y, scratch, own);
  }
  if (along_z.size() == 1) return;
  scratch.volume.assign(values, values + plane * shape[0]);
  blur_across(loops, scratch.volume.data(), shape[0], plane, along_z, scratch, values);
}

void low_resolution(float* values, const std::int32_t shape[3], float zoom, bool in_plane,
                    StepScratch& scratch) {
  const ValueKernels& loops = kernels();
  int smaller[3];
  for (int axis = 0; axis < 3; ++axis) {
    smaller[axis] = std::max(1, static_cast<int>(std::floor(shape[axis] * static_cast<double>(zoom) + 0.5)));
  }
  if (in_plane) smaller[0] = shape[0];
  const auto nearest = [&](int axis, int n) {
    const double at = (n + 0.5) * (static_cast<double>(shape[axis]) / smaller[axis]);
    return std::min(static_cast<int>(at), shape[axis] - 1);
  };
  const std::size_t row = smaller[2], plane = row * smaller[1], wide = shape[2];
  scratch.volume.resize(plane * smaller[0]);
  for (int z = 0; z < smaller[0]; ++z) {
    for (int y = 0; y < smaller[1]; ++y) {
      const float* from =
          values + (static_cast<std::size_t>(nearest(0, z)) * shape[1] + nearest(1, y)) * wide;
      float* to = scratch.volume.data() + z * plane + y * row;
      for (int x = 0; x < smaller[2]; ++x) to[x] = from[nearest(2, x)];
    }
  }
  std::vector<Pair> along_x(wide);
  for (std::size_t x = 0; x < wide; ++x) along_x[x] = pair_of(static_cast<int>(x), shape[2], smaller[2]);
  scratch.line.resize(row);
  scratch.rows.resize(4);
  for (int z = 0; z < shape[0]; ++z) {
    const Pair pz = pair_of(z, shape[0], smaller[0]);
    for (int y = 0; y < shape[1]; ++y) {
      const Pair py = pair_of(y, shape[1], smaller[1]);
      const float* upper = scratch.volume.data() + pz.first * plane;
      const float* lower = scratch.volume.data() + pz.second * plane;
      scratch.rows = {upper + py.first * row, upper + py.second * row, lower + py.first * row,
                      lower + py.second * row};
      const float weights[4] = {(1 - pz.weight) * (1 - py.weight), (1 - pz.weight) * py.weight,
                                pz.weight * (1 - py.weight), pz.weight * py.weight};
      loops.weighted_sum(scratch.rows.data(), weights, 4, row, scratch.line.data());
      float* to = values + (static_cast<std::size_t>(z) * shape[1] + y) * wide;
      for (std::size_t x = 0; x < wide; ++x) {
        const float a = scratch.line[along_x[x].first], b = scratch.line[along_x[x].second];
        to[x] = a + (b - a) * along_x[x].weight;
      }
    }
  }
}

void bias_field(float* values, const std::int32_t shape[3], int order, const float* coefficients,
                StepScratch& scratch) {
  const ValueKernels& loops = kernels();
  const int wide = shape[2];
  scratch.line.resize(wide);
  double along_x[8];
  for (int z = 0; z < shape[0]; ++z) {
    const double pz = centred(z, shape[0]);
    for (int y = 0; y < shape[1]; ++y, values += wide) {
      const double py = centred(y, shape[1]);
      std::fill(std::begin(along_x), std::end(along_x), 0.0);
      const float* next = coefficients;
      double of_z = 1.0;
      for (int a = 0; a <= order; ++a, of_z *= pz) {
        double of_y = of_z;
        for (int b = 0; b <= order - a; ++b, of_y *= py) {
          for (int c = 0; c <= order - a - b; ++c) along_x[c] += of_y * *next++;
        }
      }
      for (int x = 0; x < wide; ++x) {
        const double px = centred(x, wide);
        double total = 0.0;
        for (int c = order; c >= 0; --c) total = total * px + along_x[c];
        scratch.line[x] = static_cast<float>(total);
      }
      loops.times_exp(values, scratch.line.data(), wide);
    }
  }
}

}  // namespace medshard::volume
