#include "decode/image.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"

namespace medshard::decode {

Format sniff(const std::uint8_t* data, std::size_t size) {
  if (size >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF) return Format::jpeg;
  if (size >= 8 && std::memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) return Format::png;
  throw DecodeError("is neither a JPEG nor a PNG stream");
}

Header read_header(const std::uint8_t* data, std::size_t size) {
  return sniff(data, size) == Format::jpeg ? read_jpeg_header(data, size) : read_png_header(data, size);
}

void decode(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  if (sniff(data, size) == Format::jpeg) {
    decode_jpeg(data, size, request, out);
  } else {
    decode_png(data, size, request, out);
  }
}

Region region_within(const Region& wanted, std::uint32_t width, std::uint32_t height) {
  const Region part{wanted.x0, wanted.y0, std::min(wanted.x1, width), std::min(wanted.y1, height)};
  return part.x0 < part.x1 && part.y0 < part.y1 ? part : Region{0, 0, width, height};
}

void check_size(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels) {
  if (width == 0 || height == 0) throw DecodeError("the picture has no pixels");
  if (width * height > max_pixels) {
    throw DecodeError("the picture has " + std::to_string(width) + " x " + std::to_string(height) +
                      " pixels, more than " + std::to_string(max_pixels));
  }
}

}  // namespace medshard::decode
