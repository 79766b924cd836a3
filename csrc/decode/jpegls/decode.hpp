// Our own JPEG-LS decoder (T.87) for the layouts that medical files have: one component a scan, or lines in
// turn.
#pragma once

#include "decode/image.hpp"

namespace medshard::decode {

// False, and nothing done, for what is left to CharLS: samples in turn, mapping tables, restart intervals,
// colour transforms. Throws DecodeError: damaged, cut off or too large.
bool decode_jpegls_scans(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels, Pixels& out);

}  // namespace medshard::decode
