// Decoded pixels, and what a stream's header says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace medshard::decode {

enum class Format { jpeg, png };

struct Header {
  Format format = Format::jpeg;
  std::uint32_t width = 0, height = 0;
  int channels = 0;  // as decoded: 1, 3 or 4
  int bits = 8;      // as decoded: 8 or 16
  bool progressive = false;
};

// Interleaved rows, all or the first ones of a picture; samples of 16 bits are in the machine's byte order.
struct Pixels {
  std::uint32_t width = 0, height = 0;
  int channels = 0;
  int bits = 8;
  std::vector<std::uint8_t> bytes;

  std::size_t row_bytes() const { return static_cast<std::size_t>(width) * channels * (bits / 8); }
};

// By its first bytes. Throws DecodeError when it is neither.
Format sniff(const std::uint8_t* data, std::size_t size);

// Without pixels. Throws DecodeError.
Header read_header(const std::uint8_t* data, std::size_t size);

// Grey, RGB or RGBA. `half` decodes a JPEG at half size (ceil) in the DCT domain.
// `rows` stops a JPEG after that many rows of the (halved) picture, and `out.bytes` holds no more; 0 decodes
// all. `max_pixels` bounds the stored size. Throws DecodeError: damaged, cut off, of an unsupported kind, or
// too large. `out` keeps its memory between calls.
void decode(const std::uint8_t* data, std::size_t size, bool half, std::uint32_t rows,
            std::uint64_t max_pixels, Pixels& out);

void check_size(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels);

Header read_jpeg_header(const std::uint8_t* data, std::size_t size);
void decode_jpeg(const std::uint8_t* data, std::size_t size, bool half, std::uint32_t rows,
                 std::uint64_t max_pixels, Pixels& out);
Header read_png_header(const std::uint8_t* data, std::size_t size);
void decode_png(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels, Pixels& out);

// A PNG without ancillary chunks. channels 1, 3 or 4; bits 8 or 16, machine's byte order. Throws DecodeError.
std::vector<std::uint8_t> encode_png(const std::uint8_t* pixels, std::uint32_t width, std::uint32_t height,
                                     int channels, int bits, int level);

// Names and versions of the libraries in use.
std::string jpeg_version();
std::string png_version();

}  // namespace medshard::decode
