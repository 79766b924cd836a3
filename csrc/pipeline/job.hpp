// What is done to one sample, and where it goes. The layout is shared with Python (medshard/engine/jobs.py:
// JOB).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "augment/weights.hpp"
#include "pipeline/program.hpp"

namespace medshard::pipeline {

enum class Codec : std::uint8_t { compressed = 0, raw_u8 = 1, raw_u16 = 2, raw_i16 = 3, raw_f32 = 4 };
enum class Output : std::uint8_t { f32 = 0, f16 = 1, bf16 = 2, u8 = 3, i16 = 4, i32 = 5 };

struct Job {
  std::uint64_t address;       // of the first byte of the stream, or of the raw samples
  std::uint64_t size;          // in bytes
  std::uint64_t out;           // bytes from the batch's first to this sample's slot
  double box[4];               // x0 y0 x1 y1 of the stored picture: what fills the output
  std::int32_t bounds[4];      // x0 y0 x1 y1: outside of it nothing is read
  std::int32_t raw[3];         // height, width, channels of raw samples; the frame of a DICOM file
  std::int32_t height, width;  // of the output
  float scale, bias;           // value = stored * scale + bias
  std::uint8_t codec;
  std::uint8_t flip_x, flip_y;
  std::uint8_t spare[1];
  std::uint64_t params;      // of float32: the parameters of the batch's steps; 0 when there are none
  std::uint64_t noise_seed;  // of the numbers that a step draws for each value
  // Geometry beyond a box and flips; zeros mean none of it.
  std::int32_t extent[4];  // x0 y0 x1 y1 of the stored picture: what counts, beyond `bounds` by the border
  std::int32_t inner[4];   // x0 y0 x1 y1 of the output before flips and transposition; outside it is border
  std::int32_t grid[2];  // height, width of the reduced picture that a warp reads; `box` fills it, unflipped
  double map[6], before[6];  // of a warp (augment/warp.hpp)
  std::uint64_t elastic_seed;
  double elastic_spacing[2], elastic_amplitude[2];  // x, y: pixels
  float fill;              // of a constant border: after scale and bias; of masks: the label
  std::uint8_t border;     // augment::Border
  std::uint8_t transpose;  // rows become columns, after the flips
  std::uint8_t spare_geometry[2];
  // With patches: a canvas, and where on it the output's first pixel lies.
  std::int32_t canvas_height, canvas_width, canvas_top, canvas_left;
};
static_assert(sizeof(Job) == 320, "medshard/engine/jobs.py holds the same layout");

// How a canvas is cut; see Note [Patch order] in patches.hpp. An `edge` of 0: pictures are not cut.
struct Patches {
  int edge = 0, merge = 1, repeat = 1;
};

// What all samples of a batch share.
struct Batch {
  std::uint8_t* out = nullptr;
  int channels = 3;
  Output type = Output::f32;
  bool channels_last = false;
  bool nearest = false;  // masks: stored values, no mapping
  bool clamp = true;     // values to 0..1 before mean and deviation
  int reduce = 2;  // JPEG may be decoded at 1/2 or 1/4 of its size where the output needs no more: 1, 2, 4
  std::vector<float> mean, deviation;
  std::vector<Step> steps;  // when there are any, they do all mapping; clamp, mean and deviation are not used
  augment::Filter filter = augment::Filter::bilinear;
  Patches patches;
  std::uint64_t max_pixels = 0;
};

std::size_t bytes_of(Output type);

struct Scratch;  // memory and clock of one thread

// How many jobs from `first` on have one source, which is decoded once for all of them: at most 16.
std::size_t same_source(const Job* jobs, std::size_t first, std::size_t count);

// Decodes and resamples jobs of one source, each into its slot. `failures` has an empty text for each, which
// becomes what went wrong; the slot is then zeros.
void run_jobs(const Job* jobs, std::size_t count, const Batch& batch, Scratch& scratch,
              std::string* failures);

}  // namespace medshard::pipeline
