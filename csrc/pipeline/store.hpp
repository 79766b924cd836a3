// Writes sampled values as the batch wants them: channels, mapping, type and layout in one pass.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pipeline/job.hpp"

namespace medshard::pipeline {

// `sampled` holds kRows rows, [(x * channels + c) * kRows + r]; rows y .. y + count go to the slot at `out`.
void store_rows(const float* sampled, int channels, int y, int count, const Job& job, const Batch& batch,
                std::uint8_t* out);

// Values as a type, one after another.
void put_values(Output type, const float* values, std::size_t count, std::uint8_t* out);

}  // namespace medshard::pipeline
