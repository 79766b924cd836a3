// Resampling of 8-bit pictures in whole levels, as image processors of model families do it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "augment/weights.hpp"
#include "pipeline/patches.hpp"

namespace medshard::pipeline {

// Interleaved 8-bit rows.
struct LevelRows {
  const std::uint8_t* data;  // of column `left` in row `top` of the picture
  std::size_t row_bytes;
  int left, top, channels;
};

// What a thread keeps between pictures.
struct LevelMemory {
  augment::FixedWeights columns, rows;
  std::vector<std::uint8_t> tile, sums, across, levels, turned;
};

// Columns first, then rows, each rounded to 0..255: the bits of Pillow's Image.resize before 13.0, which
// since then takes rows first in some shapes. `part` of the result lies in `memory.levels`, rows of
// interleaved channels. The filter must meet no constant border (Weights::covered).
void resize_levels(const LevelRows& source, const augment::Axis& across, const augment::Axis& down,
                   const Visible& part, LevelMemory& memory);

// `height` x `width` pixels of a source with rows and columns exchanged, in `memory.turned`.
LevelRows transposed(const LevelRows& source, int height, int width, LevelMemory& memory);

}  // namespace medshard::pipeline
