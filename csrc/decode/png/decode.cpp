// PNG: all chunks are checked, then the rows under the wanted region are inflated, unfiltered and unpacked.
#include <libdeflate.h>

#include <algorithm>
#include <string>

#include "core/error.hpp"
#include "decode/image.hpp"
#include "decode/png/inflate.hpp"
#include "decode/png/rows.hpp"
#include "decode/png/stream.hpp"
#include "decode/png/strips.hpp"
#include "decode/png/unfilter.hpp"

namespace medshard::decode {
namespace {

using png::Stream;

// Deflate codes at most 258 bytes in two bits.
constexpr double kDeflateRatio = 1032.0;

// One of the seven pictures that an interlaced one is sent as; of others, the whole (clause 8).
struct Pass {
  std::uint32_t x, y, step_x, step_y;

  std::uint32_t columns(const Stream& s) const { return s.width > x ? (s.width - x - 1) / step_x + 1 : 0; }
  std::uint32_t rows(const Stream& s) const { return s.height > y ? (s.height - y - 1) / step_y + 1 : 0; }
  std::size_t bytes(const Stream& s) const {  // inflated, with a byte for the filter of each row
    return columns(s) == 0 ? 0 : rows(s) * (s.row_bytes(columns(s)) + 1);
  }
};

constexpr Pass kWhole{0, 0, 1, 1};
constexpr Pass kAdam7[7] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                            {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};

png::Unfilter unfilter() {
  static const png::Unfilter chosen = png::unfilter_of(core::chosen_simd());
  return chosen;
}

// A header may promise a huge picture in a small stream: no memory is taken for what cannot be there.
void check_plausible(const Stream& stream, std::size_t size) {
  const double bits =
      static_cast<double>(stream.width) * stream.height * stream.stored_samples() * stream.depth;
  if (bits / 8.0 > kDeflateRatio * static_cast<double>(size)) {
    throw DecodeError("PNG: " + std::to_string(size) + " bytes cannot hold " + std::to_string(stream.width) +
                      " x " + std::to_string(stream.height) + " pixels");
  }
}

// Rows `first` to `last` of a block of filtered rows lose their filters. The row before `first` is only
// looked at when its filter makes it necessary, so rows above the nearest one that does not look up stay as
// they are.
void unfilter_rows(const Stream& stream, std::uint8_t* block, std::size_t row_bytes, std::uint32_t first,
                   std::uint32_t last) {
  const std::size_t apart = row_bytes + 1;
  while (first > 0 && block[first * apart] > png::kSub) --first;
  // Above the first row lie zeros; Average and Paeth of zeros need a real row of them.
  std::vector<std::uint8_t> zeros(block[first * apart] > png::kSub ? row_bytes : 0);
  const std::uint8_t* above = zeros.data();
  for (std::uint32_t y = first; y < last; ++y) {
    std::uint8_t* row = block + y * apart;
    if (!unfilter()(row[0], row + 1, above, row_bytes, stream.step())) {
      throw DecodeError("PNG: a row has a filter that does not exist");
    }
    above = row + 1;
  }
}

void decode_interlaced(const Stream& stream, Pixels& out) {
  std::size_t total = 0;
  for (const Pass& pass : kAdam7) total += pass.bytes(stream);
  out.held = {0, 0, stream.width, stream.height};
  out.scratch.resize(total);
  png::inflate_pixels(stream.pixels, out.scratch.data(), total);
  const std::size_t pixel = png::pixel_bytes(stream);
  out.bytes.resize(out.row_bytes() * stream.height);
  std::uint8_t* block = out.scratch.data();
  for (const Pass& pass : kAdam7) {
    const std::uint32_t columns = pass.columns(stream), rows = pass.rows(stream);
    if (columns == 0 || rows == 0) continue;
    const std::size_t row_bytes = stream.row_bytes(columns);
    unfilter_rows(stream, block, row_bytes, 0, rows);
    for (std::uint32_t y = 0; y < rows; ++y) {
      const std::size_t row = pass.y + static_cast<std::size_t>(y) * pass.step_y;
      png::unpack(stream, block + y * (row_bytes + 1) + 1, 0, columns,
                  out.bytes.data() + row * out.row_bytes() + pass.x * pixel, pass.step_x * pixel);
    }
    block += pass.bytes(stream);
  }
}

// Rows `first` to `last` of a block that begins with the picture's row `top`; what of them is held goes to
// `out`.
void take_rows(const Stream& stream, std::uint8_t* block, std::uint32_t top, Pixels& out) {
  const std::size_t row_bytes = stream.row_bytes(stream.width);
  const std::uint32_t first = std::max(out.held.y0, top) - top;
  const std::uint32_t end = out.held.y1 - top;
  unfilter_rows(stream, block, row_bytes, first, end);
  for (std::uint32_t y = first; y < end; ++y) {
    png::unpack(stream, block + y * (row_bytes + 1) + 1, out.held.x0, out.held.width(),
                out.bytes.data() + (top + y - out.held.y0) * out.row_bytes(), png::pixel_bytes(stream));
  }
}

// Only the strips under the region. False when they are not what they promise: then the picture is decoded
// whole.
bool decode_strips(const Stream& stream, Pixels& out) {
  const std::uint32_t rows = stream.strip_rows;
  const std::size_t apart = stream.row_bytes(stream.width) + 1;
  out.scratch.resize(apart * std::min(rows, stream.height));
  const Region wanted = out.held;
  for (std::uint32_t strip = wanted.y0 / rows; strip <= (wanted.y1 - 1) / rows; ++strip) {
    const std::uint32_t top = strip * rows, count = std::min(rows, stream.height - top);
    const bool last = strip + 1 == stream.pixels.size();
    if (!png::inflate_strip(png::strip_bytes(stream, strip), last, out.scratch.data(), apart * count))
      return false;
    if (out.scratch[0] > png::kSub) return false;
    out.held.y1 = std::min(wanted.y1, top + count);
    take_rows(stream, out.scratch.data(), top, out);
    out.held.y1 = wanted.y1;
  }
  return true;
}

}  // namespace

Header read_png_header(const std::uint8_t* data, std::size_t size) {
  const Stream stream = png::read_head(data, size);
  Header header;
  header.format = Format::png;
  header.width = stream.width;
  header.height = stream.height;
  header.channels = stream.channels();
  header.bits = stream.bits();
  return header;
}

void decode_png(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  const Stream head = png::read_head(data, size);
  check_size(head.width, head.height, request.max_pixels);
  check_plausible(head, size);
  const Stream stream = png::read_stream(data, size);
  out.width = stream.width;
  out.height = stream.height;
  out.channels = stream.channels();
  out.bits = stream.bits();
  if (stream.interlaced) return decode_interlaced(stream, out);
  out.held = region_within(request.region, stream.width, stream.height);
  out.bytes.resize(out.row_bytes() * out.held.height());
  // The whole picture is inflated in one piece, whose checksum then holds too.
  const bool part = out.held.height() < stream.height;
  if (part && stream.strip_rows > 0 && decode_strips(stream, out)) return;
  out.scratch.resize(kWhole.bytes(stream));
  png::inflate_pixels(stream.pixels, out.scratch.data(), out.scratch.size());
  take_rows(stream, out.scratch.data(), 0, out);
}

std::string version_of_libdeflate() { return LIBDEFLATE_VERSION_STRING; }

}  // namespace medshard::decode
