// The patch order of vision-language models: a resized picture on a canvas that is cut into squares.
#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/picture.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {

// Note [Patch order]. The canvas of job.canvas_height x job.canvas_width is cut into squares of `edge`
// pixels. Squares follow one another row by row; with `merge` m, blocks of m x m squares do, and the squares
// within each block. A square is written as [channel][repeat][y][x]: `repeat` holds a still picture as that
// many equal frames.

// The part of the resized picture that lies on the canvas; none where an end is not above its begin.
struct Visible {
  int x0, y0, x1, y1;

  int width() const { return x1 - x0; }
  bool none() const { return x1 <= x0 || y1 <= y0; }
};
Visible visible_part(const Job& job);

// Sets what of the canvas the picture does not cover to black (stored values that map to 0). Does nothing
// when all is covered.
void clear_patches(const Job& job, const Batch& batch, std::uint8_t* out);

// Row y of the resized picture; values of pixel x and channel c at values[x * step_x + c * step_c], still as
// stored.
void store_patch_row(const float* values, std::size_t step_x, std::size_t step_c, int channels, int y,
                     const Job& job, const Batch& batch, std::uint8_t* out);

// A resized picture whose values are final.
void store_patch_picture(const augment::Picture& picture, const Job& job, const Batch& batch,
                         std::uint8_t* out);

// The visible part in levels, rows of interleaved channels.
void store_patch_levels(const std::uint8_t* levels, int channels, const Job& job, const Batch& batch,
                        std::uint8_t* out);

// Bytes that a job writes.
std::size_t patches_bytes(const Job& job, const Batch& batch);

// Throws DecodeError when a job's canvas is no whole number of squares or blocks.
void check_patches(const Job& job, const Batch& batch);

}  // namespace medshard::pipeline
