#include "decode/jpeg/indexed.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/error.hpp"
#include "decode/image.hpp"
#include "decode/jpeg/library.hpp"

namespace medshard::decode::jpeg {
namespace {

// Owns both libjpeg objects and the bytes written. Nothing with a destructor may live between setjmp and
// longjmp.
class Rewriter {
 public:
  Rewriter() { in.err = out.err = errors.install(); }
  ~Rewriter() {
    jpeg_destroy_compress(&out);
    jpeg_destroy_decompress(&in);
    std::free(bytes);
  }
  Rewriter(const Rewriter&) = delete;
  Rewriter& operator=(const Rewriter&) = delete;

  // Each step returns false after an error, whose text is then in errors.message.
  bool open(const std::uint8_t* data, std::size_t size) {
    if (setjmp(errors.escape)) return false;
    jpeg_create_decompress(&in);
    in.progress = &errors.progress;
    jpeg_mem_src(&in, const_cast<unsigned char*>(data), static_cast<unsigned long>(size));
    return jpeg_read_header(&in, TRUE) == JPEG_HEADER_OK;
  }

  bool rewrite(int parts) {
    if (setjmp(errors.escape)) return false;
    jvirt_barray_ptr* coefficients = jpeg_read_coefficients(&in);
    jpeg_create_compress(&out);
    jpeg_copy_critical_parameters(&in, &out);
    out.JFIF_major_version = out.JFIF_minor_version = 1;
    out.density_unit = 0;
    out.X_density = out.Y_density = 1;
    out.optimize_coding = TRUE;
    const int across = in.num_components == 1 ? 8 : 8 * in.max_h_samp_factor;
    const int mcus = (static_cast<int>(in.image_width) + across - 1) / across;
    out.restart_interval = static_cast<unsigned>((mcus + parts - 1) / parts);
    jpeg_mem_dest(&out, &bytes, &count);
    jpeg_write_coefficients(&out, coefficients);
    jpeg_finish_compress(&out);
    jpeg_finish_decompress(&in);
    return true;
  }

  [[noreturn]] void fail(const char* otherwise) const {
    throw DecodeError(std::string("JPEG: ") + (errors.message[0] != '\0' ? errors.message : otherwise));
  }

  jpeg_decompress_struct in{};
  jpeg_compress_struct out{};
  LibraryErrors errors{};
  unsigned char* bytes = nullptr;
  unsigned long count = 0;
};

}  // namespace

std::vector<std::uint8_t> make_indexed(const std::uint8_t* data, std::size_t size, int parts,
                                       std::uint64_t max_pixels) {
  Rewriter rewriter;
  if (!rewriter.open(data, size)) rewriter.fail("the header cannot be read");
  if (rewriter.in.num_components != 1 && rewriter.in.num_components != 3) {
    throw DecodeError("JPEG: pictures of " + std::to_string(rewriter.in.num_components) +
                      " components are not rewritten");
  }
  check_size(rewriter.in.image_width, rewriter.in.image_height, max_pixels);
  check_plausible(rewriter.in, size);
  if (!rewriter.rewrite(std::max(parts, 1))) rewriter.fail("rewriting failed");
  return std::vector<std::uint8_t>(rewriter.bytes, rewriter.bytes + rewriter.count);
}

}  // namespace medshard::decode::jpeg
