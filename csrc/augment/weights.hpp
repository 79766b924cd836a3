// Weights of the antialiased filters, as Pillow and torch (antialias=True) define them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::augment {

enum class Filter : std::uint8_t { bilinear = 0, bicubic = 1 };

// One axis: output pixel i is the sum of `taps[i]` inputs from `first[i]`, weighted.
template <typename Value>
struct WeightsOf {
  std::vector<int> first, taps;
  std::vector<Value> values;  // `stride` an output
  std::size_t stride = 0;
  int lowest = 0, highest = 0;  // inputs used: lowest <= input < highest
};
using Weights = WeightsOf<float>;
using FixedWeights = WeightsOf<std::int32_t>;

// Bits after the point of fixed weights. 8-bit values times weights then fit 32 bits with a sign and one bit
// for the overshoot of the bicubic filter; Pillow's PRECISION_BITS.
constexpr int kWeightBits = 22;

// `box0`..`box1` of the input fills `size` outputs; inputs outside `low`..`high` are not read.
// The filter is stretched to one output step, at least one input (so that enlarging interpolates): bilinear
// reaches one step to each side, bicubic (Keys 1981, a = -1/2) two. `flip` mirrors.
void make_weights(double box0, double box1, int low, int high, int size, bool flip, Filter filter,
                  Weights& out);

// The same as whole multiples of 2^-kWeightBits, rounded half away from zero.
void make_weights(double box0, double box1, int low, int high, int size, bool flip, Filter filter,
                  FixedWeights& out);

// The input under the centre of each output.
void make_nearest(double box0, double box1, int low, int high, int size, bool flip, std::vector<int>& out);

}  // namespace medshard::augment
