// What is done to one sample, and where it goes. The layout is shared with Python (medshard/engine.py: JOB).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "augment/weights.hpp"

namespace medshard::pipeline {

enum class Codec : std::uint8_t { compressed = 0, raw_u8 = 1, raw_u16 = 2, raw_i16 = 3, raw_f32 = 4 };
enum class Output : std::uint8_t { f32 = 0, f16 = 1, bf16 = 2, u8 = 3, i16 = 4, i32 = 5 };

struct Job {
  std::uint64_t address;       // of the first byte of the stream, or of the raw samples
  std::uint64_t size;          // in bytes
  std::uint64_t out;           // bytes from the batch's first to this sample's slot
  double box[4];               // x0 y0 x1 y1 of the stored picture: what fills the output
  std::int32_t bounds[4];      // x0 y0 x1 y1: outside of it nothing is read
  std::int32_t raw[3];         // height, width, channels of raw samples
  std::int32_t height, width;  // of the output
  float scale, bias;           // value = stored * scale + bias
  std::uint8_t codec;
  std::uint8_t flip_x, flip_y;
  std::uint8_t spare[1];
  // With patches: a canvas, and where on it the output's first pixel lies.
  std::int32_t canvas_height, canvas_width, canvas_top, canvas_left;
};
static_assert(sizeof(Job) == 120, "medshard/engine.py holds the same layout");

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
  augment::Filter filter = augment::Filter::bilinear;
  Patches patches;
  std::uint64_t max_pixels = 0;
};

std::size_t bytes_of(Output type);

// The scratch memory of one thread.
struct Scratch;
Scratch* make_scratch();
void free_scratch(Scratch* scratch);

// Decodes and resamples one sample into its slot. Returns an empty text, or what went wrong; the slot is then
// zeros. `same_source`: the job before it on this thread was of the same source and bounds, so what it
// decoded is used again.
std::string run_job(const Job& job, const Batch& batch, Scratch& scratch, bool same_source = false);

// Whether the second job may use what the first has decoded.
bool share_source(const Job& first, const Job& second);

}  // namespace medshard::pipeline
