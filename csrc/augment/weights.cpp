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

// Weights of the inputs first .. first + count - 1 around a centre, not yet divided by their sum, which is
// returned.
double heights(Filter filter, double centre, double stretch, int first, int count, std::vector<double>& out) {
  double total = 0.0;
  out.assign(std::max(count, 1), 0.0);
  for (int k = 0; k < count; ++k) {
    out[k] = height_of(filter, std::abs((first + k + 0.5 - centre) / stretch));
    total += out[k];
  }
  return total;
}

// Moves the weights of inputs that do not exist to those that stand for them. Returns the first input.
int fold(const Axis& axis, int first, std::vector<double>& weights, std::vector<double>& folded) {
  int lowest = axis.high, highest = axis.low - 1;
  const int count = static_cast<int>(weights.size());
  for (int k = 0; k < count; ++k) {
    const int at = within(first + k, axis.low, axis.high, axis.border);
    if (at < axis.low) continue;
    lowest = std::min(lowest, at);
    highest = std::max(highest, at);
  }
  folded.assign(std::max(highest - lowest + 1, 0), 0.0);
  for (int k = 0; k < count; ++k) {
    const int at = within(first + k, axis.low, axis.high, axis.border);
    if (at >= axis.low) folded[at - lowest] += weights[k];
  }
  weights.swap(folded);
  return lowest;
}

}  // namespace

int within(int at, int low, int high, Border border) {
  if (at >= low && at < high) return at;
  if (border == Border::constant) return low - 1;
  if (border == Border::edge) return at < low ? low : high - 1;
  const int last = high - low - 1;
  if (last == 0) return low;
  int place = (at - low) % (2 * last);
  if (place < 0) place += 2 * last;
  return low + (place <= last ? place : 2 * last - place);
}

namespace {

void put_weight(double weight, float& out) { out = static_cast<float>(weight); }

void put_weight(double weight, std::int32_t& out) {
  const double scaled = weight * (1 << kWeightBits);
  out = static_cast<std::int32_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

template <typename Value>
void make(const Axis& axis, WeightsOf<Value>& out) {
  const double scale = (axis.box1 - axis.box0) / axis.size;
  const double stretch = std::max(scale, 1.0);
  const double support = stretch * (axis.filter == Filter::bilinear ? 1.0 : 2.0);
  const int wanted = axis.end - axis.begin;
  out.first.assign(wanted, axis.low);
  out.taps.assign(wanted, 0);
  out.coverage.assign(wanted, 0.0f);
  out.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 2;
  out.values.assign(out.stride * wanted, Value{0});
  out.lowest = axis.high;
  out.highest = axis.low;
  out.covered = true;
  std::vector<double> weights, folded;
  for (int i = axis.begin; i < axis.end; ++i) {
    const int place = axis.flip ? axis.size - 1 - i : i - axis.begin;
    const int made = within(i, axis.inner_low, axis.inner_high, axis.border);
    if (made < axis.inner_low) {
      out.covered = false;
      continue;
    }
    const double centre = axis.box0 + (made + 0.5) * scale;
    int first = std::max(axis.extent_low, static_cast<int>(std::floor(centre - support + 0.5)));
    const int last = std::min(axis.extent_high, static_cast<int>(std::floor(centre + support + 0.5)));
    double total = heights(axis.filter, centre, stretch, first, last - first, weights);
    if (total == 0.0) {  // a sampling point beyond what counts takes the outermost
      first = std::clamp(static_cast<int>(std::floor(centre)), axis.extent_low, axis.extent_high - 1);
      weights.assign(1, total = 1.0);
    }
    int begin = first, taps = static_cast<int>(weights.size()), skip = 0;
    float coverage = 1.0f;
    if (begin < axis.low || begin + taps > axis.high) {
      begin = fold(axis, first, weights, folded);
      taps = static_cast<int>(weights.size());
      if (axis.border == Border::constant) {
        double there = 0.0;
        for (const double weight : weights) there += weight;
        coverage = static_cast<float>(there / total);
        if (there != total) out.covered = false;
      }
    }
    while (taps > 1 && weights[skip] == 0.0) ++skip, --taps, ++begin;
    while (taps > 1 && weights[skip + taps - 1] == 0.0) --taps;
    for (int k = 0; k < taps; ++k) put_weight(weights[skip + k] / total, out.values[place * out.stride + k]);
    out.coverage[place] = coverage;
    if (taps == 0) continue;
    out.first[place] = begin;
    out.taps[place] = taps;
    out.lowest = std::min(out.lowest, begin);
    out.highest = std::max(out.highest, begin + taps);
  }
  if (out.lowest >= out.highest) out.lowest = axis.low, out.highest = axis.low + 1;
}

}  // namespace

void make_weights(const Axis& axis, Weights& out) { make(axis, out); }

void make_weights(const Axis& axis, FixedWeights& out) { make(axis, out); }

void make_nearest(const Axis& axis, std::vector<int>& out) {
  const double scale = (axis.box1 - axis.box0) / axis.size;
  out.resize(axis.size);
  for (int i = 0; i < axis.size; ++i) {
    const int made = within(i, axis.inner_low, axis.inner_high, axis.border);
    int input = axis.low - 1;
    if (made >= axis.inner_low) {
      const int under = static_cast<int>(std::floor(axis.box0 + (made + 0.5) * scale));
      input =
          within(std::clamp(under, axis.extent_low, axis.extent_high - 1), axis.low, axis.high, axis.border);
    }
    out[axis.flip ? axis.size - 1 - i : i] = input;
  }
}

}  // namespace medshard::augment
