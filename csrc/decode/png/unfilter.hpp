// Filters of rows taken back (PNG, third edition, clause 9), one function a SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/cpu.hpp"

namespace medshard::decode::png {

enum Filter : std::uint8_t { kNone = 0, kSub = 1, kUp = 2, kAverage = 3, kPaeth = 4 };

// In place. `above` is the row before, already without its filter, and is not read for None and Sub.
// step: bytes from a sample to the same of the pixel before, 1 to 8. False for a filter that does not exist.
using Unfilter = bool (*)(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size,
                          int step);

bool unfilter_scalar(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size,
                     int step);
bool unfilter_sse2(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size,
                   int step);

// SSE2 belongs to every x86-64, so each level but the scalar one has it.
Unfilter unfilter_of(core::Simd level);

}  // namespace medshard::decode::png
