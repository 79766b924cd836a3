// Weights of the antialiased filters, as Pillow and torch (antialias=True) define them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::augment {

// Bilinear is the triangle; bicubic is that of Keys (1981) with a = -1/2.
enum class Filter : std::uint8_t { bilinear = 0, bicubic = 1 };

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
  Filter filter = Filter::bilinear;
  Border border = Border::constant;
  bool flip = false;  // mirrors the outputs
};

// Output `begin + i` is the sum of `taps[i]` inputs from `first[i]`, weighted.
template <typename Value>
struct WeightsOf {
  std::vector<int> first, taps;
  std::vector<Value> values;  // `stride` an output
  std::vector<float>
      coverage;  // sum of an output's weights: below 1 where the filter meets a constant border
  std::size_t stride = 0;
  int lowest = 0, highest = 0;  // inputs used: lowest <= input < highest; at least one
  bool covered = true;          // all coverages are 1
};
using Weights = WeightsOf<float>;
using FixedWeights = WeightsOf<std::int32_t>;

// Bits after the point of fixed weights. 8-bit values times weights then fit 32 bits with a sign and one bit
// for the overshoot of the bicubic filter; Pillow's PRECISION_BITS.
constexpr int kWeightBits = 22;

// The filter is stretched to one output step, at least one input (so that enlarging interpolates): bilinear
// reaches one step to each side, bicubic two.
void make_weights(const Axis& axis, Weights& out);

// The same as whole multiples of 2^-kWeightBits, rounded half away from zero.
void make_weights(const Axis& axis, FixedWeights& out);

// The input under the centre of each output; low - 1 where there is none.
void make_nearest(const Axis& axis, std::vector<int>& out);

}  // namespace medshard::augment
