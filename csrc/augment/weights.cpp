#include "augment/weights.hpp"

#include <algorithm>
#include <cmath>

namespace medshard::augment {

void make_weights(double box0, double box1, int low, int high, int size, bool flip, Weights& out) {
  const double scale = (box1 - box0) / size;
  const double support =
      std::max(scale, 1.0);  // radius of the triangle: 1 input, or 1 output step when reducing
  out.first.resize(size);
  out.taps.resize(size);
  out.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 2;
  out.values.assign(out.stride * size, 0.0f);
  out.lowest = high;
  out.highest = low;
  std::vector<double> weights(out.stride);
  for (int i = 0; i < size; ++i) {
    const double centre = box0 + (i + 0.5) * scale;
    const int first = std::max(low, static_cast<int>(std::floor(centre - support + 0.5)));
    const int last = std::min(high, static_cast<int>(std::floor(centre + support + 0.5)));
    double total = 0.0;
    int taps = 0;
    for (int input = first; input < last; ++input, ++taps) {
      const double distance = std::abs((input + 0.5 - centre) / support);
      weights[taps] = distance < 1.0 ? 1.0 - distance : 0.0;
      total += weights[taps];
    }
    const int place = flip ? size - 1 - i : i;
    int begin = first;
    if (taps == 0 || total == 0.0) {  // a sampling point beyond the bounds takes the border
      begin = std::clamp(static_cast<int>(std::floor(centre)), low, high - 1);
      weights[0] = total = 1.0;
      taps = 1;
    }
    int skip = 0;
    while (taps > 1 && weights[skip] == 0.0) ++skip, --taps, ++begin;
    while (taps > 1 && weights[skip + taps - 1] == 0.0) --taps;
    for (int k = 0; k < taps; ++k) {
      out.values[place * out.stride + k] = static_cast<float>(weights[skip + k] / total);
    }
    out.first[place] = begin;
    out.taps[place] = taps;
    out.lowest = std::min(out.lowest, begin);
    out.highest = std::max(out.highest, begin + taps);
  }
}

void make_nearest(double box0, double box1, int low, int high, int size, bool flip, std::vector<int>& out) {
  const double scale = (box1 - box0) / size;
  out.resize(size);
  for (int i = 0; i < size; ++i) {
    const int input = static_cast<int>(std::floor(box0 + (i + 0.5) * scale));
    out[flip ? size - 1 - i : i] = std::clamp(input, low, high - 1);
  }
}

}  // namespace medshard::augment
