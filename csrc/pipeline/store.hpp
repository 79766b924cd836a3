// Writes sampled values as the batch wants them: channels, mapping, type and layout in one pass.
#pragma once

#include <cstdint>

#include "augment/picture.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {

// `sampled` holds kRows rows, [(x * channels + c) * kRows + r]; rows y .. y + count go to the slot at `out`.
void store_rows(const float* sampled, int channels, int y, int count, const Job& job, const Batch& batch,
                std::uint8_t* out);

// The same rows into a picture, with its number of channels and values as they are stored.
void keep_rows(const float* sampled, int channels, int y, int count, augment::Picture& picture);

// A picture whose values are final into the slot at `out`: type and layout. uint8 takes 0..1 times 255.
void store_picture(const augment::Picture& picture, const Batch& batch, std::uint8_t* out);

}  // namespace medshard::pipeline
