#include "decode/jpeg_markers.hpp"

#include <cstring>

namespace medshard::decode {

bool scan_markers(const std::uint8_t* data, std::size_t size, JpegMarkers& out) {
  if (size < 4 || data[0] != 0xFF || data[1] != 0xD8) return false;
  std::size_t place = 2;
  while (place + 4 <= size) {
    if (data[place] != 0xFF) {
      ++place;  // bytes between segments, which decoders pass over
      continue;
    }
    const int marker = data[place + 1];
    if (marker == 0xFF) {
      ++place;
      continue;
    }
    if (marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      place += 2;
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA) return false;
    const std::size_t length = static_cast<std::size_t>(data[place + 2]) << 8 | data[place + 3];
    const std::uint8_t* body = data + place + 4;
    if (length < 2 || length > size - place - 2) return false;
    const std::size_t held = length - 2;
    if (marker == 0xE0 && held >= 4 && std::memcmp(body, "JFIF", 4) == 0) out.jfif = true;
    if (marker == 0xEE && held >= 12 && std::memcmp(body, "Adobe", 5) == 0) out.adobe = body[11];
    const bool frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
    if (frame || marker == 0xF7) {
      if (held < 6) return false;
      out.process = marker == 0xF7 ? 55 : marker - 0xC0;
      out.precision = body[0];
      out.height = static_cast<std::uint32_t>(body[1]) << 8 | body[2];
      out.width = static_cast<std::uint32_t>(body[3]) << 8 | body[4];
      out.components = body[5];
      if (held < 6 + 3 * static_cast<std::size_t>(out.components)) return false;
      for (int c = 0; c < out.components && c < 4; ++c) out.ids[c] = body[6 + 3 * c];
      return true;
    }
    place += 2 + length;
  }
  return false;
}

}  // namespace medshard::decode
