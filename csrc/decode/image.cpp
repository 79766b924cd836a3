#include "decode/image.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "decode/codestreams.hpp"
#include "decode/jpeg_markers.hpp"
#include "dicom/dataset.hpp"
#include "dicom/frames.hpp"

namespace medshard::decode {

namespace {

// Signed samples as value + 32768 in 16 bits: one unsigned kind of sample from here on.
void lift_signed(Pixels& pixels) {
  if (!pixels.is_signed) return;
  const std::size_t count = pixels.bytes.size() / (pixels.bits / 8);
  if (pixels.bits == 8) {
    std::vector<std::uint8_t> wide(count * 2);
    auto* const to = reinterpret_cast<std::uint16_t*>(wide.data());
    for (std::size_t i = 0; i < count; ++i) {
      to[i] = static_cast<std::uint16_t>(static_cast<std::int8_t>(pixels.bytes[i]) + 32768);
    }
    pixels.bytes.swap(wide);
  } else {
    auto* const samples = reinterpret_cast<std::uint16_t*>(pixels.bytes.data());
    for (std::size_t i = 0; i < count; ++i) samples[i] ^= 0x8000;
  }
  pixels.bits = pixels.precision = 16;
  pixels.is_signed = false;
}

// What `lift_signed` makes of samples, told ahead.
Header lifted(Header header) {
  if (header.is_signed) header.bits = header.precision = 16;
  return header;
}

}  // namespace

const char* name_of(Format format) {
  static const char* const kNames[] = {"jpeg", "png", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "dicom"};
  return kNames[static_cast<int>(format)];
}

Format sniff(const std::uint8_t* data, std::size_t size) {
  if (size >= 3 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF) {
    JpegMarkers markers;
    scan_markers(data, size, markers);
    if (markers.process == 3) return Format::jpeg_lossless;
    return markers.process == 55 ? Format::jpegls : Format::jpeg;
  }
  if (size >= 8 && std::memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) return Format::png;
  if (is_jpeg2000(data, size)) return Format::jpeg2000;
  if (dicom::is_dicom(data, size)) return Format::dicom;
  throw DecodeError("is neither a JPEG nor a PNG stream, nor JPEG-LS, JPEG 2000 or DICOM");
}

Header read_header(const std::uint8_t* data, std::size_t size) {
  switch (sniff(data, size)) {
    case Format::png:
      return read_png_header(data, size);
    case Format::jpeg_lossless:
      return read_jpeg_lossless_header(data, size);
    case Format::jpegls:
      return read_jpegls_header(data, size);
    case Format::jpeg2000:
      return lifted(read_jpeg2000_header(data, size));
    case Format::dicom:
      return lifted(dicom::read_header(data, size));
    default:
      return read_jpeg_header(data, size);
  }
}

void decode(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  out.is_signed = false;
  switch (sniff(data, size)) {
    case Format::png:
      decode_png(data, size, request, out);
      out.precision = out.bits;
      break;
    case Format::jpeg_lossless:
      decode_jpeg_lossless(data, size, request, out);
      break;
    case Format::jpegls:
      decode_jpegls(data, size, request, out);
      break;
    case Format::jpeg2000:
      decode_jpeg2000(data, size, request, out);
      break;
    case Format::dicom:
      dicom::decode(data, size, request, out);
      break;
    default:
      decode_jpeg(data, size, request, out);
      out.precision = out.bits;
  }
  lift_signed(out);
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
