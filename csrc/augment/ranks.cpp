#include "augment/ranks.hpp"

#include <algorithm>

namespace medshard::augment {
namespace {

constexpr std::size_t kBins = 4096;

}  // namespace

Ranks::Ranks(const std::vector<float>& values) : values_(values), counts_(kBins, 0) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  low_ = *low;
  const double width = static_cast<double>(*high) - low_;
  scale_ = width > 0.0 ? (kBins - 1) / width : 0.0;
  for (float value : values) ++counts_[bin_of(value)];
}

std::size_t Ranks::bin_of(float value) const {
  return static_cast<std::size_t>((static_cast<double>(value) - low_) * scale_);
}

double Ranks::percentile(double percent, std::size_t copies) const {
  const std::size_t number = values_.size() * copies;
  const double rank = percent / 100.0 * static_cast<double>(number - 1);
  const auto copy = static_cast<std::size_t>(rank);
  const std::size_t below = copy / copies, above = std::min(copy + 1, number - 1) / copies;
  std::size_t first = 0, before = 0;
  while (before + counts_[first] <= below) before += counts_[first++];
  std::size_t last = first, until = before + counts_[first];
  while (until <= above) until += counts_[++last];
  std::vector<float> near;
  near.reserve(until - before);
  for (float value : values_) {
    const std::size_t bin = bin_of(value);
    if (bin >= first && bin <= last) near.push_back(value);
  }
  const auto place = near.begin() + static_cast<std::ptrdiff_t>(below - before);
  std::nth_element(near.begin(), place, near.end());
  if (above == below) return *place;
  const double low = *place, high = *std::min_element(place + 1, near.end());
  return low + (high - low) * (rank - static_cast<double>(copy));
}

}  // namespace medshard::augment
