// Weights of the antialiased triangle filter, as Pillow and torch (antialias=True) define it.
#pragma once

#include <cstddef>
#include <vector>

namespace medshard::augment {

// One axis: output pixel i is the sum of `taps[i]` inputs from `first[i]`, weighted.
struct Weights {
  std::vector<int> first, taps;
  std::vector<float> values;  // `stride` an output
  std::size_t stride = 0;
  int lowest = 0, highest = 0;  // inputs used: lowest <= input < highest
};

// `box0`..`box1` of the input fills `size` outputs; inputs outside `low`..`high` are not read.
// The filter's support is one output step, at least one input (so that enlarging interpolates). `flip`
// mirrors.
void make_weights(double box0, double box1, int low, int high, int size, bool flip, Weights& out);

// The input under the centre of each output.
void make_nearest(double box0, double box1, int low, int high, int size, bool flip, std::vector<int>& out);

}  // namespace medshard::augment
