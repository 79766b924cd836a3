// Memory that a thread keeps from sample to sample.
#pragma once

#include <vector>

#include "augment/weights.hpp"
#include "decode/image.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {

struct Scratch {
  decode::Pixels pixels;
  int reduce = 1;  // of `pixels`
  augment::Weights columns, rows;
  std::vector<int> nearest_columns, nearest_rows;
  std::vector<float> lines, tile, sampled;
  augment::FixedWeights fixed_columns, fixed_rows;
  std::vector<std::uint8_t> level_tile, level_sums, across, levels;
};

}  // namespace medshard::pipeline
