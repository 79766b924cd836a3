// Memory that a thread keeps from sample to sample.
#pragma once

#include <vector>

#include "augment/picture.hpp"
#include "decode/image.hpp"
#include "pipeline/job.hpp"
#include "pipeline/levels.hpp"
#include "pipeline/program.hpp"
#include "pipeline/sample.hpp"
#include "pipeline/stopwatch.hpp"

namespace medshard::pipeline {

struct Scratch {
  decode::Pixels pixels;
  std::vector<Sampling> samplings;  // one a job of a source
  SampleMemory memory;
  LevelMemory levels;
  augment::Picture picture;
  ProgramScratch program;
  Stopwatch watch;
};

}  // namespace medshard::pipeline
