// What is done to the values of a crop after it was sampled. The layout is shared with Python
// (medshard/augment/volume/native.py); medshard/testing/reference_volume.py defines the results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::volume {

enum class Kind : std::uint8_t {
  window = 0,                // low, high
  percentile_normalize = 1,  // lower, upper percentile
  zscore_normalize = 2,
  normalize = 3,  // mean, deviation
  invert = 4,
  gaussian_noise = 5,   // mean, deviation, 1 to clip
  gaussian_blur = 6,    // deviations along z, y, x
  brightness = 7,       // factor
  contrast = 8,         // factor, 1 to hold the range
  gamma = 9,            // exponent, 1 to invert, 1 to keep mean and deviation
  low_resolution = 10,  // smaller size over the size, 1 along y and x only
  bias_field = 11,      // order, coefficients
};

constexpr int kMostParams = 40;

// One step on one channel.
struct Step {
  std::uint64_t seed;
  std::int32_t channel;
  Kind kind;
  std::uint8_t spare[3];
  float params[kMostParams];
};
static_assert(sizeof(Step) == 176, "medshard/augment/volume/native.py holds the same layout");

struct StepScratch {
  std::vector<float> volume, plane, line, weights;
  std::vector<const float*> rows;
};

// Changes a channel (z, y, x) of the crop in place.
void do_step(const Step& step, float* values, const std::int32_t shape[3], StepScratch& scratch);

}  // namespace medshard::volume
