// The steps that a batch does on sampled crops, in the order of the list of operations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "augment/neighbourhood.hpp"
#include "augment/picture.hpp"

namespace medshard::pipeline {

struct Job;

// What a step does, and its parameters after the first, which says whether it is applied (not 0). Names are
// in step_names().
enum class StepKind : std::int32_t {
  window,                // none: scale and bias are the job's
  percentile_normalize,  // lower, upper: percentiles; 1: of the whole stored picture, 0: of the crop
  normalize,             // mean and deviation of each of the three channels
  zscore_normalize,      // 1: each channel by itself, 0: all together; 1: of the whole stored picture
  color_jitter,          // brightness, contrast, saturation, hue
  grayscale,             // none
  gamma,                 // exponent
  invert,                // none
  solarize,              // threshold
  posterize,             // levels
  gaussian_noise,        // mean, sigma, 1: to 0..1
  stain_jitter,          // 9 of a matrix, 3 of an offset: densities in log2
  erase,                 // one value a channel (three); top, left, bottom, right of each hole
  gaussian_blur,         // taps across, taps down, the weights across, the weights down
  sharpness,             // factor
  clahe,                 // clip limit, tiles down, tiles across
  jpeg,                  // quality
  multi_window,          // scale and bias of each of the three channels, of values after the job's
};
constexpr int kStepKinds = static_cast<int>(StepKind::multi_window) + 1;

// One step: its parameters are `params[first]` to `params[first + count]` of each job. `place` is that in the
// user's list; it keeps the noise of two steps apart.
struct Step {
  StepKind kind;
  std::int32_t first, count, place;
};

struct StepFeature {
  std::string name;
  bool simd;  // its loops are compiled for every SIMD level
};

// By kind.
const std::vector<StepFeature>& step_features();

// Memory that a thread keeps for the steps.
struct ProgramScratch {
  augment::NeighbourhoodScratch neighbourhood;
  std::vector<float> values;
  augment::Picture whole;  // the stored picture, when a step asks for its statistics
};

// Whether a job's steps ask for statistics of the whole stored picture, which is then decoded whole.
bool needs_whole(const Job& job, const std::vector<Step>& steps);

// A picture of one channel stays so until a step tells channels apart; in the end it has `channels`.
// Throws DecodeError when a step cannot be done.
void run_steps(const Job& job, const std::vector<Step>& steps, int channels, augment::Picture& picture,
               ProgramScratch& scratch);

}  // namespace medshard::pipeline
