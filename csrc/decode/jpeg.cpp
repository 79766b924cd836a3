// JPEG: our own decoder for sequential streams (jpeg/), libjpeg-turbo for all others and for whatever is
// irregular.
#include <string>

#include "core/error.hpp"
#include "decode/image.hpp"
#include "decode/jpeg/cmyk.hpp"
#include "decode/jpeg/decode.hpp"
#include "decode/jpeg/frame.hpp"
#include "decode/jpeg/library.hpp"

namespace medshard::decode {
namespace {

// Owns the decompressor. Nothing with a destructor may live between setjmp and longjmp, so the functions
// below keep their state here and in plain variables.
class Decompressor {
 public:
  Decompressor() { info.err = errors.install(); }
  ~Decompressor() { jpeg_destroy_decompress(&info); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // Each step returns false after an error, whose text is then in errors.message.
  bool open(const std::uint8_t* data, std::size_t size) {
    if (setjmp(errors.escape)) return false;
    jpeg_create_decompress(&info);
    info.progress = &errors.progress;
    jpeg_mem_src(&info, const_cast<unsigned char*>(data), static_cast<unsigned long>(size));
    return jpeg_read_header(&info, TRUE) == JPEG_HEADER_OK;
  }

  bool start(int reduce, Request::Colour colour) {
    if (setjmp(errors.escape)) return false;
    const bool inks = info.num_components == 4;
    if (colour != Request::Colour::as_marked && info.num_components > 1) {
      const bool ycc = colour == Request::Colour::ycc;
      info.jpeg_color_space = inks ? (ycc ? JCS_YCCK : JCS_CMYK) : (ycc ? JCS_YCbCr : JCS_RGB);
    }
    info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
    info.scale_num = 1;
    info.scale_denom = reduce;
    info.dct_method = JDCT_ISLOW;
    info.do_fancy_upsampling = TRUE;
    return jpeg_start_decompress(&info) != FALSE;
  }

  bool read_rows(std::uint8_t* out, std::size_t row_bytes, std::uint32_t rows) {
    if (setjmp(errors.escape)) return false;
    while (info.output_scanline < rows) {
      JSAMPROW row = out + row_bytes * info.output_scanline;
      if (jpeg_read_scanlines(&info, &row, 1) != 1) return false;
    }
    if (rows == info.output_height) jpeg_finish_decompress(&info);
    return true;
  }

  [[noreturn]] void fail(const char* otherwise) const {
    throw DecodeError(std::string("JPEG: ") + (errors.message[0] != '\0' ? errors.message : otherwise));
  }

  jpeg_decompress_struct info{};
  jpeg::LibraryErrors errors{};
};

void check_kind(const Decompressor& decompressor) {
  const auto& info = decompressor.info;
  if (info.data_precision != 8) throw DecodeError("JPEG: samples of other than 8 bits are not decoded");
  if (info.num_components != 1 && info.num_components != 3 && info.num_components != 4) {
    throw DecodeError("JPEG: pictures of " + std::to_string(info.num_components) +
                      " components are not decoded");
  }
}

// Four inks a pixel to RGB, in place.
void inks_to_rgb(Pixels& out) {
  const std::size_t count = static_cast<std::size_t>(out.held.width()) * out.held.height();
  std::uint8_t* bytes = out.bytes.data();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* in = bytes + 4 * i;
    const std::uint8_t c = in[0], m = in[1], y = in[2], k = in[3];
    jpeg::cmyk_to_rgb(&c, &m, &y, &k, 1, bytes + 3 * i);
  }
  out.channels = 3;
  out.bytes.resize(out.row_bytes() * out.held.height());
}

void decode_by_libjpeg(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  Decompressor decompressor;
  if (!decompressor.open(data, size)) decompressor.fail("the header cannot be read");
  check_kind(decompressor);
  check_size(decompressor.info.image_width, decompressor.info.image_height, request.max_pixels);
  jpeg::check_plausible(decompressor.info, size);
  if (!decompressor.start(request.reduce, request.colour)) decompressor.fail("decoding cannot start");
  out.width = decompressor.info.output_width;
  out.height = decompressor.info.output_height;
  out.channels = decompressor.info.output_components;
  out.bits = 8;
  const std::uint32_t rows = region_within(request.region, out.width, out.height).y1;
  out.held = {0, 0, out.width, rows};
  out.bytes.resize(out.row_bytes() * rows);
  if (!decompressor.read_rows(out.bytes.data(), out.row_bytes(), rows)) decompressor.fail("rows are missing");
  if (out.channels == 4) inks_to_rgb(out);
}

}  // namespace

Header read_jpeg_header(const std::uint8_t* data, std::size_t size) {
  Header header;
  header.format = Format::jpeg;
  jpeg::Frame frame;
  if (jpeg::read_frame(data, size, frame) && (frame.precision == 8 || jpeg::is_sequential_12bit(frame))) {
    header.width = frame.width;
    header.height = frame.height;
    header.channels = frame.count == 1 ? 1 : 3;
    header.bits = frame.precision == 8 ? 8 : 16;
    header.progressive = frame.marker == 0xC2;
    header.orientation = frame.orientation;
    return header;
  }
  Decompressor decompressor;
  if (!decompressor.open(data, size)) decompressor.fail("the header cannot be read");
  check_kind(decompressor);
  header.width = decompressor.info.image_width;
  header.height = decompressor.info.image_height;
  header.channels = decompressor.info.num_components == 1 ? 1 : 3;
  header.progressive = decompressor.info.progressive_mode != FALSE;
  header.orientation = frame.orientation;
  return header;
}

void decode_jpeg(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  if (request.own && jpeg::decode_sequential(data, size, request, out)) return;
  decode_by_libjpeg(data, size, request, out);
}

std::string jpeg_version() {
#define MEDSHARD_TEXT(x) #x
#define MEDSHARD_EXPANDED(x) MEDSHARD_TEXT(x)
  return MEDSHARD_EXPANDED(LIBJPEG_TURBO_VERSION);
#undef MEDSHARD_EXPANDED
#undef MEDSHARD_TEXT
}

}  // namespace medshard::decode
