// Percentiles of many values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace medshard::augment {

// Finds values by rank: counts in bins between the lowest and the highest first, so that only the values of a
// bin are put in order. `values` are finite, at least one, and outlive this.
class Ranks {
 public:
  explicit Ranks(const std::vector<float>& values);

  // `percent` of 0 to 100, when each value is there `copies` times. Between ranks it is interpolated, as
  // numpy.percentile does it.
  double percentile(double percent, std::size_t copies) const;

 private:
  std::size_t bin_of(float value) const;

  const std::vector<float>& values_;
  std::vector<std::uint32_t> counts_;
  double low_ = 0.0, scale_ = 0.0;
};

}  // namespace medshard::augment
