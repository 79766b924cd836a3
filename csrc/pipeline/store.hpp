// Writes sampled values as the batch wants them: channels, mapping, type and layout in one pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/picture.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {

// ITU-R BT.601 luma, as Pillow's conversion to grey.
inline float luma(float red, float green, float blue) {
  return 0.299f * red + 0.587f * green + 0.114f * blue;
}

// `sampled` holds kRows rows, [(x * channels + c) * kRows + r]; rows y .. y + count go to the slot at `out`.
void store_rows(const float* sampled, int channels, int y, int count, const Job& job, const Batch& batch,
                std::uint8_t* out);

// Planes of stored values, of the output's size: as store_rows.
void store_sampled(const augment::Picture& picture, const Job& job, const Batch& batch, std::uint8_t* out);

// A picture whose values are final into the slot at `out`: type and layout. uint8 takes 0..1 times 255.
void store_picture(const augment::Picture& picture, const Job& job, const Batch& batch, std::uint8_t* out);

// Values as a type, one after another.
void put_values(Output type, const float* values, std::size_t count, std::uint8_t* out);

}  // namespace medshard::pipeline
