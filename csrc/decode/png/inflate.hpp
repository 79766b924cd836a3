// Inflating: libdeflate where the length is known, zlib for what is odd.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decode/png/stream.hpp"

namespace medshard::decode::png {

// Fills `out` with the first `size` bytes that the chunks of pixels inflate to. Bytes after them, and an end
// that is cut off behind them, are let pass as other readers do. Throws DecodeError.
void inflate_pixels(const std::vector<Span>& pixels, std::uint8_t* out, std::size_t size);

// Fills `out` with one strip, which holds exactly `size` bytes. False when it does not or is damaged.
bool inflate_strip(const Span& strip, bool last, std::uint8_t* out, std::size_t size);

}  // namespace medshard::decode::png
