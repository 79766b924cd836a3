// The geometry of one job: which pixels of its source are needed, and how the output is sampled from them.
#pragma once

#include <vector>

#include "augment/picture.hpp"
#include "augment/warp.hpp"
#include "augment/weights.hpp"
#include "decode/image.hpp"
#include "pipeline/job.hpp"
#include "pipeline/source.hpp"
#include "pipeline/stopwatch.hpp"

namespace medshard::pipeline {

// What is worked out before anything is decoded.
struct Sampling {
  augment::Axis across, down;                      // of the stored x and y
  augment::Weights columns, rows;                  // of pictures
  std::vector<int> nearest_columns, nearest_rows;  // of masks without a warp
  augment::Warper warper;
  bool warped = false;
  decode::Region needed;  // of the reduced picture
};

// Lines and tiles between the passes.
struct SampleMemory {
  std::vector<float> lines, tile, sampled;
  augment::Picture grid, turned;
  std::vector<std::int64_t> places;
};

// How much a JPEG may be reduced for a job: 1, 2, 4 up to `most`.
int reduction_of(const Job& job, int most);

// For a picture of `height` x `width`, stored, that comes reduced. Throws DecodeError when the job does not
// fit it.
void plan_sampling(const Job& job, const Batch& batch, std::uint32_t height, std::uint32_t width, int reduce,
                   Sampling& out);

// Whether the output is made row by row, without a whole picture in between.
bool by_rows(const Job& job, const Sampling& sampling);

// Straight into the slot, when `by_rows`.
void sample_rows(const Source& source, const Job& job, const Batch& batch, const Sampling& sampling,
                 SampleMemory& memory, Stopwatch& watch, std::uint8_t* out);

// Into planes of stored values, of the output's size; any geometry.
void sample_picture(const Source& source, const Job& job, Sampling& sampling, SampleMemory& memory,
                    augment::Picture& out);

// Labels, straight into the slot.
void sample_labels(const Source& source, const Job& job, const Batch& batch, Sampling& sampling,
                   SampleMemory& memory, std::uint8_t* out);

}  // namespace medshard::pipeline
