// JPEG-LS through CharLS, where it is built in.
#include "core/error.hpp"
#include "decode/codestreams.hpp"
#include "decode/jpeg_markers.hpp"
#include "decode/jpegls/decode.hpp"

#ifdef MEDSHARD_CHARLS
#include <charls/charls.h>

#include <memory>
#endif

namespace medshard::decode {

Header read_jpegls_header(const std::uint8_t* data, std::size_t size) {
  JpegMarkers markers;
  if (!scan_markers(data, size, markers) || markers.process != 55 || markers.components < 1) {
    throw DecodeError("JPEG-LS: has no frame header of that kind");
  }
  Header header;
  header.format = Format::jpegls;
  header.width = markers.width;
  header.height = markers.height;
  header.channels = markers.components;
  header.precision = markers.precision;
  header.bits = markers.precision <= 8 ? 8 : 16;
  return header;
}

#ifdef MEDSHARD_CHARLS
namespace {

using Decoder = std::unique_ptr<charls_jpegls_decoder, decltype(&charls_jpegls_decoder_destroy)>;

void check(charls_jpegls_errc code) {
  if (code != charls::jpegls_errc::success) {
    throw DecodeError(std::string("JPEG-LS: ") + charls_get_error_message(code));
  }
}

Decoder open(const std::uint8_t* data, std::size_t size, charls_frame_info& info) {
  Decoder decoder(charls_jpegls_decoder_create(), charls_jpegls_decoder_destroy);
  if (!decoder) throw DecodeError("JPEG-LS: out of memory");
  check(charls_jpegls_decoder_set_source_buffer(decoder.get(), data, size));
  check(charls_jpegls_decoder_read_header(decoder.get()));
  check(charls_jpegls_decoder_get_frame_info(decoder.get(), &info));
  if (info.component_count < 1 || info.component_count > 4) {
    throw DecodeError("JPEG-LS: pictures of " + std::to_string(info.component_count) +
                      " components are not decoded");
  }
  return decoder;
}

template <typename Sample>
void interleave(const std::vector<std::uint8_t>& planes, std::size_t plane, int channels, std::uint8_t* to) {
  const auto* in = reinterpret_cast<const Sample*>(planes.data());
  auto* out = reinterpret_cast<Sample*>(to);
  for (int c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) out[i * channels + c] = in[plane * c + i];
  }
}

}  // namespace

void decode_jpegls(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  if (decode_jpegls_scans(data, size, request.max_pixels, out)) return;
  charls_frame_info info;
  const Decoder decoder = open(data, size, info);
  check_size(info.width, info.height, request.max_pixels);
  charls_interleave_mode mode = charls::interleave_mode::none;
  check(charls_jpegls_decoder_get_interleave_mode(decoder.get(), &mode));
  out.width = info.width;
  out.height = info.height;
  out.held = {0, 0, out.width, out.height};
  out.channels = info.component_count;
  out.precision = info.bits_per_sample;
  out.bits = out.precision <= 8 ? 8 : 16;
  out.is_signed = false;
  std::size_t bytes = 0;
  check(charls_jpegls_decoder_get_destination_size(decoder.get(), 0, &bytes));
  if (bytes != out.row_bytes() * out.height) throw DecodeError("JPEG-LS: of an unexpected layout");
  out.bytes.resize(bytes);
  if (mode != charls::interleave_mode::none || out.channels == 1) {
    check(charls_jpegls_decoder_decode_to_buffer(decoder.get(), out.bytes.data(), bytes, 0));
    return;
  }
  std::vector<std::uint8_t> planes(bytes);
  check(charls_jpegls_decoder_decode_to_buffer(decoder.get(), planes.data(), bytes, 0));
  const std::size_t plane = static_cast<std::size_t>(out.width) * out.height;
  if (out.bits == 8) {
    interleave<std::uint8_t>(planes, plane, out.channels, out.bytes.data());
  } else {
    interleave<std::uint16_t>(planes, plane, out.channels, out.bytes.data());
  }
}

std::string jpegls_version() { return charls_get_version_string(); }

#else

namespace {
[[noreturn]] void absent() {
  throw DecodeError(
      "JPEG-LS: the codec of this layout is not built in; apt-get install libcharls-dev and build medshard "
      "again; the "
      "Python "
      "plug-in is used instead where one is installed");
}
}  // namespace

void decode_jpegls(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  if (!decode_jpegls_scans(data, size, request.max_pixels, out)) absent();
}
std::string jpegls_version() { return ""; }

#endif

}  // namespace medshard::decode
