#include "decode/png/strips.hpp"

#include <cstring>

namespace medshard::decode::png {
namespace {

constexpr std::uint8_t kFlush[4] = {0x00, 0x00, 0xFF, 0xFF};  // the empty stored block (RFC 1951, 3.2.4)

}  // namespace

std::uint32_t strip_rows_of(const Span& body, const Stream& stream, const std::uint8_t* file) {
  if (body.size < 12 || big32(body.data) != kStripVersion || stream.interlaced) return 0;
  const std::uint32_t rows = big32(body.data + 4), strips = big32(body.data + 8);
  if (rows == 0 || strips != (stream.height - 1) / rows + 1 || strips != stream.pixels.size()) return 0;
  if ((body.size - 12) / 4 != strips || body.size % 4 != 0) return 0;
  for (std::uint32_t i = 0; i < strips; ++i) {
    const Span& pixels = stream.pixels[i];
    if (big32(body.data + 12 + 4 * static_cast<std::size_t>(i)) !=
        static_cast<std::size_t>(pixels.data - file)) {
      return 0;
    }
    if (pixels.size < 6) return 0;  // header or flush or end
    if (i + 1 < strips && std::memcmp(pixels.data + pixels.size - 4, kFlush, 4) != 0) return 0;
  }
  return rows;
}

Span strip_bytes(const Stream& stream, std::size_t strip) {
  Span span = stream.pixels[strip];
  if (strip == 0) {
    span.data += 2;
    span.size -= 2;
  }
  return span;
}

}  // namespace medshard::decode::png
