// Rows of a stream, without their filters, become pixels as they are decoded.
#pragma once

#include <cstddef>
#include <cstdint>

#include "decode/png/stream.hpp"

namespace medshard::decode::png {

// Bytes of one decoded pixel.
inline std::size_t pixel_bytes(const Stream& stream) {
  return static_cast<std::size_t>(stream.channels()) * (stream.bits() / 8);
}

// Pixels `first` to `first + count` of a packed row, one behind the other, 16 bits in the machine's byte
// order; few-bit grey is spread to 0..255, indices become colours, grey with alpha becomes RGBA. The pixels
// are `apart` bytes from one another in `out`, pixel_bytes() when they lie together.
void unpack(const Stream& stream, const std::uint8_t* row, std::size_t first, std::size_t count,
            std::uint8_t* out, std::size_t apart);

}  // namespace medshard::decode::png
