// The engine's own decoder of sequential Huffman-coded JPEG (T.81, baseline and extended), 8 and 12 bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "decode/image.hpp"

namespace medshard::decode::jpeg {

// Bit by bit what libjpeg-turbo gives with its accurate integer transform and smooth upsampling. The work
// follows the region: beside it, bits are only counted, and what lies behind restart markers is not even
// read. False when the stream is of another kind or irregular; libjpeg then decodes it, or says what is
// wrong. Throws DecodeError when it is too large.
bool decode_sequential(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);

}  // namespace medshard::decode::jpeg
