// Decoded pixels, and what a stream's header says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace medshard::decode {

enum class Format { jpeg, png, jpeg_lossless, jpegls, jpeg2000, dicom };

const char* name_of(Format format);

struct Header {
  Format format = Format::jpeg;
  std::uint32_t width = 0, height = 0;
  int channels = 0;  // as decoded: 1, 3 or 4
  int bits = 8;      // as decoded: 8 or 16
  bool progressive = false;
  int orientation = 1;     // of a JPEG with EXIF (2.32, 4.6.4): 1 to 8; decoding does not turn
  int precision = 8;       // bits that a sample may use of them
  bool is_signed = false;  // as stored
  int frames = 1;          // of a DICOM file
};

// Columns x0 to x1 and rows y0 to y1 of a picture, the last ones not included.
struct Region {
  std::uint32_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  std::uint32_t width() const { return x1 - x0; }
  std::uint32_t height() const { return y1 - y0; }
};

// What is wanted of a stream.
struct Request {
  // Which colours a JPEG's three components are: what its marks say by libjpeg's rules, as they are, or YCbCr
  // (with four: CMYK, YCCK). DICOM says it outside of the stream.
  enum class Colour { as_marked, none, ycc };

  int reduce = 1;  // 1, 2 or 4: a JPEG comes at that part of its size (ceil), made in the DCT domain
  Region region;   // of the reduced picture; what reaches beyond it is ignored; empty means all of it
  std::uint64_t max_pixels = 0;  // bounds the stored size
  Colour colour = Colour::as_marked;
  bool own = true;  // false: JPEG by libjpeg alone, for comparison
  int frame = 0;    // of a DICOM file
};

// Interleaved rows of a part of a picture; samples of 16 bits are in the machine's byte order.
struct Pixels {
  std::uint32_t width = 0, height = 0;  // of the whole picture, reduced
  Region held;                          // what `bytes` holds: the wanted region or more
  int channels = 0;
  int bits = 8;
  int precision = 8;       // bits that a sample may use of them
  bool is_signed = false;  // two's complement; only between the decoders of `codestreams.hpp` and `decode`
  std::vector<std::uint8_t> bytes;
  std::vector<std::uint8_t> scratch;  // a decoder's own, kept like `bytes` from one picture to the next

  std::size_t row_bytes() const { return static_cast<std::size_t>(held.width()) * channels * (bits / 8); }
};

// By its first bytes. Throws DecodeError when it is none.
Format sniff(const std::uint8_t* data, std::size_t size);

// Without pixels. Throws DecodeError.
Header read_header(const std::uint8_t* data, std::size_t size);

// Grey, RGB or RGBA; four inks become RGB (jpeg/cmyk.hpp). Signed samples come in 16 bits as value + 32768,
// as int16 pixels lie in a PNG (medshard/shards/sample_parts.py: INT16_OFFSET). Throws DecodeError: damaged,
// cut off, of an unsupported kind, or too large. `out` keeps its memory between calls.
void decode(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);

void check_size(std::uint64_t width, std::uint64_t height, std::uint64_t max_pixels);

// The wanted region within a picture of this size.
Region region_within(const Region& wanted, std::uint32_t width, std::uint32_t height);

Header read_jpeg_header(const std::uint8_t* data, std::size_t size);
void decode_jpeg(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);
Header read_png_header(const std::uint8_t* data, std::size_t size);
void decode_png(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out);

// A PNG without metadata. channels 1, 3 or 4; bits 8 or 16, machine's byte order; level of zlib; rows of an
// independent strip (png/strips.hpp), 0 for a stream in one piece. Throws DecodeError.
std::vector<std::uint8_t> encode_png(const std::uint8_t* pixels, std::uint32_t width, std::uint32_t height,
                                     int channels, int bits, int level, std::uint32_t strip_rows = 0);

// Names and versions of the libraries in use.
std::string jpeg_version();
std::string version_of_libdeflate();
std::string version_of_zlib();

}  // namespace medshard::decode
