// Memory that a thread keeps from sample to sample.
#pragma once

#include <vector>

#include "augment/weights.hpp"
#include "decode/image.hpp"
#include "pipeline/job.hpp"
#include "pipeline/program.hpp"

namespace medshard::pipeline {

struct Scratch {
  decode::Pixels pixels;
  augment::Weights columns, rows;
  std::vector<int> nearest_columns, nearest_rows;
  std::vector<float> lines, tile, sampled;
  augment::Picture picture;
  ProgramScratch program;
};

}  // namespace medshard::pipeline
