#include "decode/jpeg/decode.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/cpu.hpp"
#include "core/error.hpp"
#include "decode/jpeg/frame.hpp"
#include "decode/jpeg/huffman.hpp"
#include "decode/jpeg/layout.hpp"
#include "decode/jpeg/levels.hpp"
#include "decode/jpeg/rows.hpp"
#include "decode/jpeg/segment.hpp"

namespace medshard::decode::jpeg {
namespace {

// What a thread keeps from stream to stream; most streams of a corpus have the same tables.
struct Kept {
  DcTable dc[4];
  AcTable ac[4];
  Segment segment;
  Rows rows;
};

// Passing over fewer blocks than this is not worth tables for it.
constexpr std::uint64_t kBlocksWorthSkips = 2000;

Colour chosen_colour(const Frame& frame, Request::Colour wanted) {
  if (frame.count == 1 || wanted == Request::Colour::as_marked) return frame.colour;
  if (frame.count == 4) return wanted == Request::Colour::ycc ? Colour::ycck : Colour::cmyk;
  return wanted == Request::Colour::ycc ? Colour::ycc : Colour::rgb;
}

bool supported(const Frame& frame, const Layout& layout, Colour colour) {
  if ((frame.marker != 0xC0 && frame.marker != 0xC1) || !frame.whole_scan) return false;
  if (frame.precision == 8) return true;
  if (!is_sequential_12bit(frame) || (colour != Colour::grey && colour != Colour::rgb)) return false;
  for (int c = 0; c < layout.count; ++c) {
    const Plane& p = layout.planes[c];
    if (p.edge != 8 || p.across != 1 || p.down != 1) return false;
  }
  return true;
}

// A Huffman code spends at least one bit on a block's mean and one on its end.
bool plausible(const Frame& frame, const Layout& layout, std::size_t size) {
  std::uint64_t blocks = 0;
  for (int c = 0; c < frame.count; ++c)
    blocks += static_cast<unsigned>(layout.planes[c].h * layout.planes[c].v);
  return blocks * layout.mcus() <= 4 * static_cast<std::uint64_t>(size);
}

bool make_scan(const Frame& frame, const Layout& layout, Kept& kept, Scan& scan) {
  scan.count = frame.count;
  scan.precision = frame.precision;
  std::uint64_t blocks = 0, wanted = 0;
  for (int c = 0; c < frame.count; ++c) {
    const FrameComponent& component = frame.components[c];
    const Plane& p = layout.planes[c];
    if (component.dc > 3 || component.ac > 3 || component.quantiser > 3) return false;
    if (!frame.quantiser_defined[component.quantiser]) return false;
    DcTable& dc = kept.dc[component.dc];
    AcTable& ac = kept.ac[component.ac];
    if (!make_table(frame.dc[component.dc], dc) || !make_table(frame.ac[component.ac], ac)) return false;
    ScanComponent& to = scan.components[c];
    to.dc = &dc;
    to.ac = &ac;
    to.quantiser = frame.quantisers[component.quantiser];
    to.h = p.h;
    to.v = p.v;
    to.edge = p.edge;
    to.bx0 = p.bx0;
    to.bx1 = p.bx1;
    to.by0 = p.by0;
    to.by1 = p.by1;
    blocks += layout.mcus() * static_cast<unsigned>(p.h * p.v);
    wanted += static_cast<std::uint64_t>(p.bx1 - p.bx0) * (p.by1 - p.by0);
  }
  if (blocks - std::min(blocks, wanted) >= kBlocksWorthSkips) {
    for (int c = 0; c < frame.count; ++c) kept.ac[frame.components[c].ac].make_skips();
  }
  return true;
}

// The MCUs [from, to) of one segment, as far as any is wanted.
bool decode_segment(const Layout& layout, const Level& level, const Scan& scan, std::uint64_t from,
                    std::uint64_t to, Cursor cursor, Rows& rows) {
  while (from < to) {
    const std::uint64_t first = layout.next_wanted(from);
    if (first >= to) break;
    if (first > from && !level.skip_mcus(scan, cursor, first - from)) return false;
    const std::uint64_t row = first / layout.mcus_across, start = row * layout.mcus_across;
    const std::uint64_t last = std::min(to, start + layout.mx1);
    if (!level.decode_mcus(scan, cursor, static_cast<std::uint32_t>(row),
                           static_cast<std::uint32_t>(first - start),
                           static_cast<std::uint32_t>(last - start))) {
      return false;
    }
    if (last == start + layout.mx1) rows.finish(static_cast<std::uint32_t>(row));
    from = last;
  }
  return true;
}

bool decode_scan(const std::uint8_t* data, std::size_t size, const Frame& frame, const Layout& layout,
                 const Level& level, const Scan& scan, Kept& kept) {
  const std::uint64_t all = layout.mcus();
  const std::uint64_t interval = frame.restart_interval != 0 ? frame.restart_interval : all;
  std::size_t place = frame.scan_begins;
  int restart = 0;
  for (std::uint64_t from = 0; from < all; from += interval) {
    const std::uint64_t to = std::min(all, from + interval);
    const std::uint64_t first = layout.next_wanted(from);
    if (first == all) return true;
    if (first < to) {
      place = kept.segment.read(data, size, place);
      if (!decode_segment(layout, level, scan, from, to, kept.segment.cursor(), kept.rows)) return false;
    } else {
      place = end_of_segment(data, size, place);
    }
    if (to == all) break;
    if (layout.next_wanted(to) == all)
      return layout.held.y1 < layout.height || reaches_end(data, size, place);
    if (next_marker(data, size, place) != 0xD0 + restart) return false;
    restart = (restart + 1) & 7;
  }
  return layout.held.y1 < layout.height || reaches_end(data, size, place);
}

bool decode_frame(const std::uint8_t* data, std::size_t size, const Frame& frame, const Request& request,
                  Pixels& out) {
  thread_local const std::unique_ptr<Kept> kept = std::make_unique<Kept>();
  static const Level& level = level_of(core::chosen_simd());
  const Colour colour = chosen_colour(frame, request.colour);
  Layout layout;
  if (!make_layout(frame, request.reduce, request.region, layout) || !supported(frame, layout, colour) ||
      !plausible(frame, layout, size)) {
    return false;
  }
  Scan scan;
  if (!make_scan(frame, layout, *kept, scan)) return false;
  kept->rows.begin(layout, colour, frame.precision == 12 ? 16 : 8, level, scan, out);
  const bool whole = decode_scan(data, size, frame, layout, level, scan, *kept);
  kept->segment.forget_large();
  return whole;
}

}  // namespace

bool decode_sequential(const std::uint8_t* data, std::size_t size, const Request& request, Pixels& out) {
  Frame frame;
  if (!read_frame(data, size, frame)) return false;
  check_size(frame.width, frame.height, request.max_pixels);
  if (decode_frame(data, size, frame, request, out)) return true;
  if (!is_sequential_12bit(frame)) return false;
  throw DecodeError(  // libjpeg has no 12 bits, and would say only that
      "JPEG: the stream of 12 bits is damaged, cut off or of a kind that is not decoded (subsampled, several "
      "scans)");
}

}  // namespace medshard::decode::jpeg
