// Writes PNG in independent strips (see strips.hpp).
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "decode/image.hpp"
#include "decode/png/stream.hpp"
#include "decode/png/strips.hpp"
#include "decode/png/unfilter.hpp"

namespace medshard::decode {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kPieceRows = 64;
constexpr std::size_t kChunkBytes = 1ul << 30;  // of pixels, at which another chunk begins
constexpr std::uint8_t kSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

// A deflate stream that is written piece by piece.
class Deflating {
 public:
  explicit Deflating(int level) {
    if (deflateInit2(&z_, level, Z_DEFLATED, 15, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw DecodeError("PNG: out of memory");
    }
  }
  ~Deflating() { deflateEnd(&z_); }
  Deflating(const Deflating&) = delete;
  Deflating& operator=(const Deflating&) = delete;

  // Appends to `out` what comes of `data`.
  void write(const Bytes& data, int flush, Bytes& out) {
    if (data.size() > std::numeric_limits<uInt>::max() / 2) throw DecodeError("PNG: rows are too long");
    const std::size_t begin = out.size();
    // What waits inside of zlib is at most its window and its symbols, well below this margin.
    out.resize(begin + deflateBound(&z_, static_cast<uLong>(data.size())) + kMargin);
    z_.next_in = const_cast<std::uint8_t*>(data.data());
    z_.avail_in = static_cast<uInt>(data.size());
    z_.next_out = out.data() + begin;
    z_.avail_out = static_cast<uInt>(out.size() - begin);
    const int code = deflate(&z_, flush);
    if (code != (flush == Z_FINISH ? Z_STREAM_END : Z_OK) || z_.avail_in != 0 || z_.avail_out == 0) {
      throw DecodeError("PNG: zlib did not take all rows");
    }
    out.resize(out.size() - z_.avail_out);
  }

 private:
  static constexpr std::size_t kMargin = 1ul << 20;
  z_stream z_{};
};

// Most significant byte first.
void stored_row(const std::uint8_t* in, std::size_t samples, int bits, std::uint8_t* out) {
  if (bits == 8) {
    std::memcpy(out, in, samples);
    return;
  }
  for (std::size_t i = 0; i < samples; ++i) {
    std::uint16_t value;
    std::memcpy(&value, in + 2 * i, 2);
    out[2 * i] = static_cast<std::uint8_t>(value >> 8);
    out[2 * i + 1] = static_cast<std::uint8_t>(value);
  }
}

std::uint64_t magnitudes(const std::uint8_t* row, std::size_t size) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < size; ++i)
    sum += static_cast<std::uint64_t>(std::abs(static_cast<std::int8_t>(row[i])));
  return sum;
}

// Left and up alone, by the least sum of absolute differences: both are undone many bytes at a time, where
// Paeth is undone byte by byte (docs/formats.md has the sizes and speeds).
void filter_row(const std::uint8_t* row, const std::uint8_t* above, std::size_t size, std::size_t step,
                std::uint8_t* out, Bytes& other) {
  out[0] = png::kSub;
  for (std::size_t i = 0; i < size; ++i) {
    out[1 + i] = static_cast<std::uint8_t>(row[i] - (i < step ? 0 : row[i - step]));
  }
  if (above == nullptr) return;
  other.resize(size);
  for (std::size_t i = 0; i < size; ++i) other[i] = static_cast<std::uint8_t>(row[i] - above[i]);
  if (magnitudes(other.data(), size) < magnitudes(out + 1, size)) {
    out[0] = png::kUp;
    std::memcpy(out + 1, other.data(), size);
  }
}

void append_header(Bytes& out, std::uint32_t width, std::uint32_t height, int channels, int bits) {
  std::uint8_t body[13] = {};
  png::put_big32(body, width);
  png::put_big32(body + 4, height);
  body[8] = static_cast<std::uint8_t>(bits);
  const png::Colour colour = channels == 1   ? png::Colour::grey
                             : channels == 3 ? png::Colour::rgb
                                             : png::Colour::rgba;
  body[9] = static_cast<std::uint8_t>(colour);
  png::append_chunk(out, "IHDR", body, sizeof body);
}

}  // namespace

std::vector<std::uint8_t> encode_png(const std::uint8_t* pixels, std::uint32_t width, std::uint32_t height,
                                     int channels, int bits, int level, std::uint32_t strip_rows) {
  if (width == 0 || height == 0) throw DecodeError("PNG: a picture has at least one pixel");
  if (width > 0x7FFFFFFFu || height > 0x7FFFFFFFu) throw DecodeError("PNG: a side is longer than PNG allows");
  // Without strips, rows are still compressed a piece at a time, for the memory.
  const std::uint32_t rows = std::min(strip_rows == 0 ? kPieceRows : strip_rows, height);
  const std::uint32_t strips = (height - 1) / rows + 1;
  const bool told = strip_rows > 0 && strips > 1;  // one strip is no news
  const std::size_t samples = static_cast<std::size_t>(width) * channels, row_bytes = samples * (bits / 8);

  Bytes out(std::begin(kSignature), std::end(kSignature));
  append_header(out, width, height, channels, bits);
  Bytes places(told ? 12 + 4 * static_cast<std::size_t>(strips) : 0);
  const std::size_t places_at = out.size();
  if (told) png::append_chunk(out, png::kStripChunk, places.data(), places.size());

  Deflating deflating(level);
  Bytes filtered, packed, row(row_bytes), above(row_bytes), other;
  for (std::uint32_t strip = 0; strip < strips; ++strip) {
    const std::uint32_t top = strip * rows, count = std::min(rows, height - top);
    filtered.resize((row_bytes + 1) * count);
    for (std::uint32_t y = 0; y < count; ++y) {
      stored_row(pixels + (static_cast<std::size_t>(top) + y) * row_bytes, samples, bits, row.data());
      const bool first = told ? y == 0 : top + y == 0;
      filter_row(row.data(), first ? nullptr : above.data(), row_bytes, channels * (bits / 8),
                 filtered.data() + y * (row_bytes + 1), other);
      row.swap(above);
    }
    const bool last = strip + 1 == strips;
    deflating.write(filtered, last ? Z_FINISH : told ? Z_FULL_FLUSH : Z_NO_FLUSH, packed);
    if (!told && !last && packed.size() < kChunkBytes) continue;
    if (told) {
      if (out.size() > 0xFFFFFFF0u) throw DecodeError("PNG: the stream is longer than its offsets reach");
      png::put_big32(places.data() + 12 + 4 * static_cast<std::size_t>(strip),
                     static_cast<std::uint32_t>(out.size() + 8));
    }
    png::append_chunk(out, "IDAT", packed.data(), packed.size());
    packed.clear();
  }
  png::append_chunk(out, "IEND", nullptr, 0);
  if (told) {
    png::put_big32(places.data(), png::kStripVersion);
    png::put_big32(places.data() + 4, rows);
    png::put_big32(places.data() + 8, strips);
    Bytes chunk;
    png::append_chunk(chunk, png::kStripChunk, places.data(), places.size());
    std::copy(chunk.begin(), chunk.end(), out.begin() + static_cast<std::ptrdiff_t>(places_at));
  }
  return out;
}

std::string version_of_zlib() { return zlibVersion(); }

}  // namespace medshard::decode
