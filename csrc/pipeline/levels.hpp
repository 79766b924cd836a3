// Resampling of 8-bit pictures in whole levels, as image processors of model families do it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pipeline/job.hpp"

namespace medshard::pipeline {

// Interleaved 8-bit rows.
struct LevelRows {
  const std::uint8_t* data;  // of column `left` in row `top` of the picture
  std::size_t row_bytes;
  int left, top, channels;
};

// Columns first, then rows, each rounded to 0..255: the bits of Pillow's Image.resize before 13.0, which
// since then takes rows first in some shapes. The visible part (patches.hpp) of the result lies in
// `scratch.levels`.
void resize_levels(const LevelRows& source, const double box[4], const int bounds[4], const Job& job,
                   const Batch& batch, Scratch& scratch);

}  // namespace medshard::pipeline
