// PNG: nine bytes that choose a region and whether checksums are put right, then the stream; or a stream
// alone, whose checksums are put right and whose last bytes choose the region.
//
// Whatever decodes is compared: a part with the same part of the whole, SIMD filters with plain ones, and
// pictures of whole samples with a second decoder below, which shares only the chunk walk.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/error.hpp"
#include "decode/image.hpp"
#include "decode/png/inflate.hpp"
#include "decode/png/stream.hpp"
#include "decode/png/strips.hpp"
#include "decode/png/unfilter.hpp"

namespace {

namespace decode = medshard::decode;
namespace png = medshard::decode::png;

constexpr std::uint64_t kMaxPixels = 1u << 22;

// A mutated stream would end at its first checksum.
void put_checksums_right(std::vector<std::uint8_t>& stream) {
  std::size_t place = 8;
  while (place < stream.size() && stream.size() - place >= 12) {
    const std::size_t size = png::big32(stream.data() + place);
    if (size > stream.size() - place - 12) return;
    const std::uint8_t* kind = stream.data() + place + 4;
    png::put_big32(stream.data() + place + 8 + size,
                   static_cast<std::uint32_t>(crc32(0, kind, static_cast<uInt>(4 + size))));
    place += 12 + size;
  }
}

// Clause 9 word by word.
int predicted(int filter, int a, int b, int c) {
  const int p = a + b - c, pa = std::abs(p - a), pb = std::abs(p - b), pc = std::abs(p - c);
  switch (filter) {
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return (a + b) / 2;
    case 4:
      return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    default:
      return 0;
  }
}

// Rows without filters of a picture that is not interlaced; empty when zlib does not give all of them.
std::vector<std::uint8_t> rows_by_zlib(const png::Stream& stream) {
  std::vector<std::uint8_t> joined;
  for (const png::Span& span : stream.pixels) joined.insert(joined.end(), span.data, span.data + span.size);
  const std::size_t width = stream.row_bytes(stream.width), apart = width + 1;
  std::vector<std::uint8_t> rows(apart * stream.height);
  z_stream z{};
  if (inflateInit(&z) != Z_OK) std::abort();
  z.next_in = joined.data();
  z.avail_in = static_cast<uInt>(joined.size());
  z.next_out = rows.data();
  z.avail_out = static_cast<uInt>(rows.size());
  inflate(&z, Z_SYNC_FLUSH);
  const bool all = z.avail_out == 0;
  inflateEnd(&z);
  if (!all) return {};
  const std::size_t step = static_cast<std::size_t>(stream.step());
  for (std::size_t y = 0; y < stream.height; ++y) {
    std::uint8_t* row = rows.data() + y * apart + 1;
    const std::uint8_t* above = y == 0 ? nullptr : row - apart;
    for (std::size_t i = 0; i < width; ++i) {
      const int a = i < step ? 0 : row[i - step], b = y == 0 ? 0 : above[i];
      const int c = i < step || y == 0 ? 0 : above[i - step];
      row[i] = static_cast<std::uint8_t>(row[i] + predicted(row[-1], a, b, c));
    }
  }
  return rows;
}

void compare_with_zlib(const std::vector<std::uint8_t>& bytes, const decode::Pixels& whole) {
  const png::Stream stream = png::read_stream(bytes.data(), bytes.size());
  if (stream.interlaced || stream.depth < 8 || stream.stored_samples() != whole.channels) return;
  const std::vector<std::uint8_t> rows = rows_by_zlib(stream);
  if (rows.empty()) return;  // libdeflate reads the reserved length codes 286 and 287, zlib refuses them
  const std::size_t width = stream.row_bytes(stream.width);
  for (std::size_t y = 0; y < stream.height; ++y) {
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t at = y * width + (stream.depth == 16 ? i ^ 1u : i);  // little-endian machines
      if (whole.bytes[at] != rows[y * (width + 1) + 1 + i]) std::abort();
    }
  }
}

// Whether each strip is what the chunk of strips says. A stream whose strips have other lengths than they
// should is another picture whole than in parts, which no reader of a part can see.
bool strips_are_true(const std::vector<std::uint8_t>& bytes) {
  const png::Stream stream = png::read_stream(bytes.data(), bytes.size());
  if (stream.strip_rows == 0) return true;
  const std::size_t apart = stream.row_bytes(stream.width) + 1;
  for (std::size_t strip = 0; strip < stream.pixels.size(); ++strip) {
    const std::size_t top = strip * stream.strip_rows,
                      rows = std::min<std::size_t>(stream.strip_rows, stream.height - top);
    std::vector<std::uint8_t> block(rows * apart);
    const bool last = strip + 1 == stream.pixels.size();
    if (!png::inflate_strip(png::strip_bytes(stream, strip), last, block.data(), block.size())) return false;
  }
  return true;
}

void compare_parts(const decode::Pixels& whole, const decode::Pixels& part) {
  const std::size_t pixel = static_cast<std::size_t>(whole.channels) * (whole.bits / 8);
  if (part.channels != whole.channels || part.bits != whole.bits || part.held.y1 > whole.height) std::abort();
  for (std::uint32_t y = part.held.y0; y < part.held.y1; ++y) {
    const std::uint8_t* from = whole.bytes.data() + y * whole.row_bytes() + part.held.x0 * pixel;
    const std::uint8_t* held = part.bytes.data() + (y - part.held.y0) * part.row_bytes();
    if (std::memcmp(from, held, part.row_bytes()) != 0) std::abort();
  }
}

void compare_filters(const std::uint8_t* data, std::size_t size) {
  static const png::Unfilter fast = png::unfilter_of(medshard::core::chosen_simd());
  const std::size_t half = (size - 1) / 2;
  for (const int step : {1, 2, 3, 4, 6, 8}) {
    std::vector<std::uint8_t> row(data + 1, data + 1 + half), above(data + 1 + half, data + 1 + 2 * half);
    row.resize(half / step * step);
    std::vector<std::uint8_t> other = row;
    png::unfilter_scalar(data[0] % 5, row.data(), above.data(), row.size(), step);
    fast(data[0] % 5, other.data(), above.data(), other.size(), step);
    if (row != other) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;
  compare_filters(data, size);
  const bool alone = data[0] == 0x89 && data[1] == 'P';
  const std::uint8_t* chosen = alone ? data + size - 9 : data;
  std::uint16_t edges[4];
  std::memcpy(edges, chosen, sizeof edges);
  std::vector<std::uint8_t> bytes(alone ? data : data + 9, data + size);
  if (alone || (chosen[8] & 1)) put_checksums_right(bytes);
  decode::Region region;
  decode::Pixels whole, part;
  bool decoded = false;
  try {
    const decode::Header header = decode::read_png_header(bytes.data(), bytes.size());
    region.x0 = edges[0] % header.width;
    region.y0 = edges[1] % header.height;
    region.x1 = region.x0 + 1 + edges[2] % (header.width - region.x0);
    region.y1 = region.y0 + 1 + edges[3] % (header.height - region.y0);
    decode::decode_png(bytes.data(), bytes.size(), {1, {}, kMaxPixels}, whole);
    decoded = true;
    if (header.width != whole.width || header.channels != whole.channels) std::abort();
    compare_with_zlib(bytes, whole);
  } catch (const medshard::DecodeError&) {
    if (decoded) std::abort();
  }
  try {
    decode::decode_png(bytes.data(), bytes.size(), {1, region, kMaxPixels}, part);
    if (decoded && strips_are_true(bytes)) compare_parts(whole, part);
  } catch (const medshard::DecodeError&) {
    // The checksum of the whole may fail where a part decodes, never the other way round.
    if (decoded && strips_are_true(bytes)) std::abort();
  }
  return 0;
}
