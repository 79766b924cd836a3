// Writes sampled values as the batch wants them: channels, mapping, type and layout in one pass.
#pragma once

#include <cstdint>

#include "augment/picture.hpp"
#include "pipeline/job.hpp"

namespace medshard::pipeline {

// `sampled` holds kRows rows, [(x * channels + c) * kRows + r]; rows y .. y + count go to the slot at `out`.
void store_rows(const float* sampled, int channels, int y, int count, const Job& job, const Batch& batch,
                std::uint8_t* out);

// Planes of stored values, of the output's size.
void store_picture(const augment::Picture& picture, const Job& job, const Batch& batch, std::uint8_t* out);

}  // namespace medshard::pipeline
