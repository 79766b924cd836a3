// PNG through libspng, which checks every chunk and bounds what a stream may cost.
#include <spng.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/error.hpp"
#include "decode/image.hpp"

namespace medshard::decode {
namespace {

using Context = std::unique_ptr<spng_ctx, decltype(&spng_ctx_free)>;

constexpr std::size_t kChunkBytes = 64ul << 20;  // of ancillary chunks; pixels are bounded by max_pixels

// Deflate codes at most 258 bytes in two bits.
constexpr double kDeflateRatio = 1032.0;

void check(int code) {
  if (code != 0) throw DecodeError(std::string("PNG: ") + spng_strerror(code));
}

Context open(const std::uint8_t* data, std::size_t size, spng_ihdr& header) {
  Context context(spng_ctx_new(0), spng_ctx_free);
  if (!context) throw DecodeError("PNG: out of memory");
  check(spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR));
  check(spng_set_chunk_limits(context.get(), kChunkBytes, kChunkBytes));
  check(spng_set_png_buffer(context.get(), data, size));
  check(spng_get_ihdr(context.get(), &header));
  return context;
}

// How a stream is decoded: the samples that the file has, but palettes as colours and few-bit grey as 8 bits.
struct Layout {
  int format;
  int stored_channels;  // as libspng gives them
  int channels;         // as we give them
  int bits;
  int flags = 0;
};

Layout layout_of(spng_ctx* context, const spng_ihdr& header) {
  const int bits = header.bit_depth == 16 ? 16 : 8;
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
      return {header.bit_depth < 8 ? SPNG_FMT_G8 : SPNG_FMT_PNG, 1, 1, bits};
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
      return {SPNG_FMT_PNG, 2, 4, bits};
    case SPNG_COLOR_TYPE_INDEXED: {
      spng_trns transparency;
      const bool clear = spng_get_trns(context, &transparency) == 0;
      return clear ? Layout{SPNG_FMT_RGBA8, 4, 4, 8, SPNG_DECODE_TRNS} : Layout{SPNG_FMT_RGB8, 3, 3, 8};
    }
    case SPNG_COLOR_TYPE_TRUECOLOR:
      return {SPNG_FMT_PNG, 3, 3, bits};
    default:
      return {SPNG_FMT_PNG, 4, 4, bits};
  }
}

template <typename Sample>
void spread_grey_alpha(const std::uint8_t* from, std::uint8_t* to, std::size_t count) {
  const auto* in = reinterpret_cast<const Sample*>(from);
  auto* out = reinterpret_cast<Sample*>(to);
  for (std::size_t i = 0; i < count; ++i) {
    out[4 * i] = out[4 * i + 1] = out[4 * i + 2] = in[2 * i];
    out[4 * i + 3] = in[2 * i + 1];
  }
}

// A header may promise a huge picture in a small stream: no memory is taken for what cannot be there.
void check_plausible(const spng_ihdr& header, std::size_t size) {
  const int samples = header.color_type == SPNG_COLOR_TYPE_TRUECOLOR         ? 3
                      : header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ? 4
                      : header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ? 2
                                                                             : 1;
  const double bytes = static_cast<double>(header.width) * header.height * samples * header.bit_depth / 8.0;
  if (bytes > kDeflateRatio * static_cast<double>(size)) {
    throw DecodeError("PNG: " + std::to_string(size) + " bytes cannot hold " + std::to_string(header.width) +
                      " x " + std::to_string(header.height) + " pixels");
  }
}

}  // namespace

Header read_png_header(const std::uint8_t* data, std::size_t size) {
  spng_ihdr stored;
  Context context = open(data, size, stored);
  const Layout layout = layout_of(context.get(), stored);
  Header header;
  header.format = Format::png;
  header.width = stored.width;
  header.height = stored.height;
  header.channels = layout.channels;
  header.bits = layout.bits;
  return header;
}

void decode_png(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  spng_ihdr stored;
  Context context = open(data, size, stored);
  check_size(stored.width, stored.height, request.max_pixels);
  check_plausible(stored, size);
  const Layout layout = layout_of(context.get(), stored);
  std::size_t bytes = 0;
  check(spng_decoded_image_size(context.get(), layout.format, &bytes));
  out.width = stored.width;
  out.height = stored.height;
  out.held = {0, 0, stored.width, stored.height};
  out.channels = layout.channels;
  out.bits = layout.bits;
  const std::size_t pixels = static_cast<std::size_t>(stored.width) * stored.height;
  if (bytes != pixels * layout.stored_channels * (layout.bits / 8))
    throw DecodeError("PNG: an unexpected layout");
  if (layout.stored_channels == layout.channels) {
    out.bytes.resize(bytes);
    check(spng_decode_image(context.get(), out.bytes.data(), bytes, layout.format, layout.flags));
    check(spng_decode_chunks(context.get()));
    return;
  }
  std::vector<std::uint8_t> packed(bytes);
  check(spng_decode_image(context.get(), packed.data(), bytes, layout.format, layout.flags));
  check(spng_decode_chunks(context.get()));
  out.bytes.resize(pixels * 4 * (layout.bits / 8));
  if (layout.bits == 16) {
    spread_grey_alpha<std::uint16_t>(packed.data(), out.bytes.data(), pixels);
  } else {
    spread_grey_alpha<std::uint8_t>(packed.data(), out.bytes.data(), pixels);
  }
}

std::vector<std::uint8_t> encode_png(const std::uint8_t* pixels, std::uint32_t width, std::uint32_t height,
                                     int channels, int bits, int level) {
  Context context(spng_ctx_new(SPNG_CTX_ENCODER), spng_ctx_free);
  if (!context) throw DecodeError("PNG: out of memory");
  check(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1));
  check(spng_set_option(context.get(), SPNG_IMG_COMPRESSION_LEVEL, level));
  spng_ihdr header{};
  header.width = width;
  header.height = height;
  header.bit_depth = static_cast<std::uint8_t>(bits);
  header.color_type = channels == 1   ? SPNG_COLOR_TYPE_GRAYSCALE
                      : channels == 3 ? SPNG_COLOR_TYPE_TRUECOLOR
                                      : SPNG_COLOR_TYPE_TRUECOLOR_ALPHA;
  check(spng_set_ihdr(context.get(), &header));
  const std::size_t bytes = static_cast<std::size_t>(width) * height * channels * (bits / 8);
  check(spng_encode_image(context.get(), pixels, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE));
  int code = 0;
  std::size_t size = 0;
  std::unique_ptr<void, decltype(&std::free)> buffer(spng_get_png_buffer(context.get(), &size, &code),
                                                     std::free);
  check(code);
  const auto* begin = static_cast<const std::uint8_t*>(buffer.get());
  return {begin, begin + size};
}

std::string png_version() { return spng_version_string(); }

}  // namespace medshard::decode
