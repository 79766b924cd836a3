#include "decode/jpeg_encode.hpp"

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
// jpeglib.h needs size_t and FILE before it.
#include <jpeglib.h>

#include <string>

#include "core/error.hpp"

namespace medshard::decode {
namespace {

struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

void on_error(j_common_ptr info) {
  auto* errors = reinterpret_cast<ErrorManager*>(info->err);
  errors->base.format_message(info, errors->message);
  std::longjmp(errors->escape, 1);
}

void no_output(j_common_ptr) {}

// Owns the compressor and its output. Nothing with a destructor may live between setjmp and longjmp.
class Compressor {
 public:
  Compressor() {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = on_error;
    errors.base.output_message = no_output;
    errors.message[0] = '\0';
  }
  ~Compressor() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  bool encode(const std::uint8_t* pixels, int width, int height, int channels, int quality) {
    if (setjmp(errors.escape)) return false;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &size);
    info.image_width = static_cast<JDIMENSION>(width);
    info.image_height = static_cast<JDIMENSION>(height);
    info.input_components = channels;
    info.in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    info.dct_method = JDCT_ISLOW;
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    const std::size_t row_bytes = static_cast<std::size_t>(width) * channels;
    while (info.next_scanline < info.image_height) {
      JSAMPROW row = const_cast<std::uint8_t*>(pixels) + row_bytes * info.next_scanline;
      jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return true;
  }

  jpeg_compress_struct info{};
  ErrorManager errors{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
};

}  // namespace

void encode_jpeg(const std::uint8_t* pixels, int width, int height, int channels, int quality,
                 std::vector<std::uint8_t>& stream) {
  Compressor compressor;
  if (!compressor.encode(pixels, width, height, channels, quality)) {
    throw DecodeError(std::string("compression as JPEG: ") + compressor.errors.message);
  }
  stream.assign(compressor.bytes, compressor.bytes + compressor.size);
}

}  // namespace medshard::decode
