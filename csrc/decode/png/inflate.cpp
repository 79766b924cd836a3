#include "decode/png/inflate.hpp"

#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "core/error.hpp"

namespace medshard::decode::png {
namespace {

constexpr std::size_t kKeptBytes = 16ul << 20;  // of compressed bytes that a thread keeps room for

libdeflate_decompressor* decompressor() {
  thread_local const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> kept(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  if (!kept) throw DecodeError("PNG: out of memory");
  return kept.get();
}

// Memory of a thread for compressed bytes put together.
class Joined {
 public:
  explicit Joined(std::size_t size) : bytes_(kept()) { bytes_.resize(size); }
  ~Joined() {
    if (bytes_.capacity() > kKeptBytes) std::vector<std::uint8_t>().swap(bytes_);
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
  std::uint8_t* data() { return bytes_.data(); }

 private:
  static std::vector<std::uint8_t>& kept() {
    thread_local std::vector<std::uint8_t> bytes;
    return bytes;
  }
  std::vector<std::uint8_t>& bytes_;
};

struct Inflating {
  z_stream state{};
  Inflating() {
    if (inflateInit(&state) != Z_OK) throw DecodeError("PNG: out of memory");
  }
  ~Inflating() { inflateEnd(&state); }
  Inflating(const Inflating&) = delete;
  Inflating& operator=(const Inflating&) = delete;
};

// As far as the picture goes: streams that hold more than it, or lack their end, and damaged ones.
void inflate_by_zlib(const Span& stream, std::uint8_t* out, std::size_t size) {
  Inflating inflating;
  z_stream& z = inflating.state;
  std::size_t read = 0, written = 0;
  std::uint8_t beyond;  // one byte more shows whether the stream ends here, and with which checksum
  int code = Z_OK;
  const auto piece = [](std::size_t left) {
    return static_cast<uInt>(std::min<std::size_t>(left, std::numeric_limits<uInt>::max()));
  };
  while (code == Z_OK && written <= size) {
    const bool full = written == size;
    const uInt given = piece(stream.size - read), room = full ? 1 : piece(size - written);
    z.next_in = const_cast<std::uint8_t*>(stream.data + read);
    z.avail_in = given;
    z.next_out = full ? &beyond : out + written;
    z.avail_out = room;
    code = inflate(&z, Z_NO_FLUSH);
    read += given - z.avail_in;
    written += room - z.avail_out;
  }
  if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
    throw DecodeError("PNG: the pixels are damaged");
  if (written < size) throw DecodeError("PNG: the pixels are cut off");
}

}  // namespace

void inflate_pixels(const std::vector<Span>& pixels, std::uint8_t* out, std::size_t size) {
  std::size_t total = 0;
  for (const Span& span : pixels) total += span.size;
  Joined joined(pixels.size() == 1 ? 0 : total);
  Span whole = pixels[0];
  if (pixels.size() > 1) {
    std::size_t place = 0;
    for (const Span& span : pixels) {
      if (span.size > 0) std::memcpy(joined.data() + place, span.data, span.size);
      place += span.size;
    }
    whole = {joined.data(), total};
  }
  if (libdeflate_zlib_decompress(decompressor(), whole.data, whole.size, out, size, nullptr) ==
      LIBDEFLATE_SUCCESS) {
    return;
  }
  inflate_by_zlib(whole, out, size);
}

bool inflate_strip(const Span& strip, bool last, std::uint8_t* out, std::size_t size) {
  Span whole = strip;
  // libdeflate wants a stream to end: an empty block with fixed codes (RFC 1951, 3.2.6) says that it does.
  constexpr std::uint8_t kEnd[2] = {0x03, 0x00};
  Joined joined(last ? 0 : strip.size + sizeof kEnd);
  if (!last) {
    std::memcpy(joined.data(), strip.data, strip.size);
    std::memcpy(joined.data() + strip.size, kEnd, sizeof kEnd);
    whole = {joined.data(), strip.size + sizeof kEnd};
  }
  std::size_t used = 0, written = 0;
  const libdeflate_result result =
      libdeflate_deflate_decompress_ex(decompressor(), whole.data, whole.size, out, size, &used, &written);
  // Behind the last strip stands the Adler-32 of all of them.
  return result == LIBDEFLATE_SUCCESS && written == size && used + (last ? 4 : 0) == whole.size;
}

}  // namespace medshard::decode::png
