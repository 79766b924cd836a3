#include "augment/weights.hpp"

#include <algorithm>
#include <cmath>

namespace medshard::augment {

namespace {

double height_of(Filter filter, double distance) {
  if (filter == Filter::bilinear) return distance < 1.0 ? 1.0 - distance : 0.0;
  constexpr double a = -0.5;
  if (distance < 1.0) return ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1.0;
  if (distance < 2.0) return (((distance - 5.0) * distance + 8.0) * distance - 4.0) * a;
  return 0.0;
}

void put_weight(double weight, float& out) { out = static_cast<float>(weight); }

void put_weight(double weight, std::int32_t& out) {
  const double scaled = weight * (1 << kWeightBits);
  out = static_cast<std::int32_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

template <typename Value>
void make(double box0, double box1, int low, int high, int size, bool flip, Filter filter,
          WeightsOf<Value>& out) {
  const double scale = (box1 - box0) / size;
  const double stretch = std::max(scale, 1.0);
  const double support = stretch * (filter == Filter::bilinear ? 1.0 : 2.0);
  out.first.resize(size);
  out.taps.resize(size);
  out.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 2;
  out.values.assign(out.stride * size, Value{0});
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
      weights[taps] = height_of(filter, std::abs((input + 0.5 - centre) / stretch));
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
    for (int k = 0; k < taps; ++k) put_weight(weights[skip + k] / total, out.values[place * out.stride + k]);
    out.first[place] = begin;
    out.taps[place] = taps;
    out.lowest = std::min(out.lowest, begin);
    out.highest = std::max(out.highest, begin + taps);
  }
}

}  // namespace

void make_weights(double box0, double box1, int low, int high, int size, bool flip, Filter filter,
                  Weights& out) {
  make(box0, box1, low, high, size, flip, filter, out);
}

void make_weights(double box0, double box1, int low, int high, int size, bool flip, Filter filter,
                  FixedWeights& out) {
  make(box0, box1, low, high, size, flip, filter, out);
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
