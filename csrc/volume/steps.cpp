#include "volume/steps.hpp"

#include <algorithm>
#include <cmath>

#include "augment/neighbourhood.hpp"
#include "augment/ranks.hpp"
#include "augment/values.hpp"
#include "volume/filters.hpp"

namespace medshard::volume {
namespace {

const augment::ValueKernels& kernels() { return augment::value_kernels_of(core::chosen_simd()); }

struct Moments {
  double mean, deviation;
};

Moments moments(const float* values, std::size_t count) {
  const double mean = kernels().sum(values, count) / static_cast<double>(count);
  return {mean, std::sqrt(kernels().sum_of_squares(values, count, mean) / static_cast<double>(count))};
}

struct Range {
  float low, high;
};

Range range(const float* values, std::size_t count) {
  float low[8], high[8];
  std::fill(std::begin(low), std::end(low), values[0]);
  std::fill(std::begin(high), std::end(high), values[0]);
  for (std::size_t i = 0; i < count; ++i) {
    low[i % 8] = values[i] < low[i % 8] ? values[i] : low[i % 8];
    high[i % 8] = values[i] > high[i % 8] ? values[i] : high[i % 8];
  }
  return {*std::min_element(std::begin(low), std::end(low)),
          *std::max_element(std::begin(high), std::end(high))};
}

// low..high become 0..1, held there.
void to_unit(float* values, std::size_t count, double low, double high) {
  const auto scale = static_cast<float>(1.0 / (high - low));
  kernels().scale(values, count, scale, static_cast<float>(-low / (high - low)), true);
}

void standardize(float* values, std::size_t count) {
  const Moments own = moments(values, count);
  if (own.deviation > 1e-6 * std::max(1.0, std::abs(own.mean))) {
    kernels().normalize(values, count, static_cast<float>(own.mean), static_cast<float>(1.0 / own.deviation));
  } else {
    std::fill_n(values, count, 0.0f);
  }
}

void percentiles(float* values, std::size_t count, float lower, float upper, StepScratch& scratch) {
  scratch.volume.assign(values, values + count);
  const augment::Ranks ranks(scratch.volume);
  const double low = ranks.percentile(lower, 1), high = ranks.percentile(upper, 1);
  if (high > low) {
    to_unit(values, count, low, high);
  } else {
    std::fill_n(values, count, 0.0f);
  }
}

void contrast(float* values, std::size_t count, float factor, bool hold) {
  const double mean = kernels().sum(values, count) / static_cast<double>(count);
  const Range own = hold ? range(values, count) : Range{0.0f, 0.0f};
  kernels().scale(values, count, factor, static_cast<float>(mean - factor * mean), false);
  if (!hold) return;
  for (std::size_t i = 0; i < count; ++i) values[i] = std::min(std::max(values[i], own.low), own.high);
}

void gamma(float* values, std::size_t count, float exponent, bool invert, bool retain) {
  const Range own = range(values, count);
  const float width = own.high - own.low;
  if (!(width > 0.0f)) return;
  const Moments before = moments(values, count);
  // Inverted values run from the highest down: (high - v) / width.
  const double from = invert ? own.high : own.low, sign = invert ? -1.0 : 1.0;
  kernels().scale(values, count, static_cast<float>(sign / width), static_cast<float>(-sign * from / width),
                  true);
  kernels().power(values, count, exponent);
  double scale = sign * width, bias = from;
  if (retain) {
    const Moments after = moments(values, count);
    // Deviation and mean of v * scale + bias become those of before.
    const double spread = after.deviation * width;
    scale = spread > 0.0 ? scale * before.deviation / spread : 0.0;
    bias = before.mean - scale * after.mean;
  }
  kernels().scale(values, count, static_cast<float>(scale), static_cast<float>(bias), false);
}

}  // namespace

void do_step(const Step& step, float* values, const std::int32_t shape[3], StepScratch& scratch) {
  const std::size_t count =
      static_cast<std::size_t>(shape[0]) * shape[1] * static_cast<std::size_t>(shape[2]);
  const float* p = step.params;
  switch (step.kind) {
    case Kind::window:
      return to_unit(values, count, p[0], p[1]);
    case Kind::percentile_normalize:
      return percentiles(values, count, p[0], p[1], scratch);
    case Kind::zscore_normalize:
      return standardize(values, count);
    case Kind::normalize:
      return kernels().normalize(values, count, p[0], 1.0f / p[1]);
    case Kind::invert:
      return kernels().scale(values, count, -1.0f, 1.0f, false);
    case Kind::gaussian_noise:
      return kernels().add_noise(values, count, step.seed, static_cast<std::uint32_t>(step.channel), p[0],
                                 p[1], p[2] != 0.0f);
    case Kind::gaussian_blur:
      return blur(values, shape, p, scratch);
    case Kind::brightness:
      return kernels().scale(values, count, p[0], 0.0f, false);
    case Kind::contrast:
      return contrast(values, count, p[0], p[1] != 0.0f);
    case Kind::gamma:
      return gamma(values, count, p[0], p[1] != 0.0f, p[2] != 0.0f);
    case Kind::low_resolution:
      return low_resolution(values, shape, p[0], p[1] != 0.0f, scratch);
    case Kind::bias_field:
      return bias_field(values, shape, static_cast<int>(p[0]), p + 1, scratch);
  }
}

}  // namespace medshard::volume
