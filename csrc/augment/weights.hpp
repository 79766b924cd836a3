// Weights of the antialiased triangle filter, as Pillow and torch (antialias=True) define it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::augment {

// What lies beyond the pixels of a picture: a value, the nearest pixel, or the picture mirrored about its
// outermost pixels, which are not repeated.
enum class Border : std::uint8_t { constant = 0, edge = 1, reflect = 2 };

// The place within low .. high - 1 that `at` stands for by the border; `low - 1` for none (constant).
int within(int at, int low, int high, Border border);

// One axis of a sampling: `box0`..`box1` of the input fills `size` outputs.
struct Axis {
  double box0 = 0, box1 = 0;
  int low = 0, high = 0;                // inputs that exist
  int extent_low = 0, extent_high = 0;  // inputs that count; those beyond low..high are made by the border
  int size = 0;
  int inner_low = 0, inner_high = 0;  // outputs that the filter makes; the border makes the others from them
  int begin = 0, end = 0;             // outputs wanted; all of them with `flip`
  Border border = Border::constant;
  bool flip = false;  // mirrors the outputs
};

// Output `begin + i` is the sum of `taps[i]` inputs from `first[i]`, weighted.
struct Weights {
  std::vector<int> first, taps;
  std::vector<float> values;  // `stride` an output
  std::vector<float>
      coverage;  // sum of an output's weights: below 1 where the filter meets a constant border
  std::size_t stride = 0;
  int lowest = 0, highest = 0;  // inputs used: lowest <= input < highest; at least one
  bool covered = true;          // all coverages are 1
};

// The filter's support is one output step, at least one input (so that enlarging interpolates).
void make_weights(const Axis& axis, Weights& out);

// The input under the centre of each output; low - 1 where there is none.
void make_nearest(const Axis& axis, std::vector<int>& out);

}  // namespace medshard::augment
