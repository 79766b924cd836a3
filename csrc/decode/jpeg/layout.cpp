#include "decode/jpeg/layout.hpp"

#include <algorithm>

namespace medshard::decode::jpeg {
namespace {

std::uint32_t ceil_div(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint32_t>((a + b - 1) / b);
}

// Samples that pixels [from, to) need, of `size`.
void needed(std::uint32_t from, std::uint32_t to, int factor, bool smooth, std::uint32_t size,
            std::uint32_t& first, std::uint32_t& last) {
  const auto step = static_cast<std::uint32_t>(factor);
  first = smooth ? (from == 0 ? 0 : (from - 1) / step) : from / step;
  last = std::min(size, smooth ? to / step + 1 : (to - 1) / step + 1);
}

// Chroma comes out of a larger transform where that saves upsampling (libjpeg's jdmaster.c).
int edge_of(const FrameComponent& component, int least, int max_h, int max_v) {
  int edge = least;
  while (edge < 8 && max_h * least % (component.h * edge * 2) == 0 &&
         max_v * least % (component.v * edge * 2) == 0) {
    edge *= 2;
  }
  return edge;
}

bool make_plane(const FrameComponent& component, const Frame& frame, int least, int max_h, int max_v,
                Plane& plane) {
  plane.edge = edge_of(component, least, max_h, max_v);
  const int h_in = component.h * plane.edge / least, v_in = component.v * plane.edge / least;
  if (max_h % h_in != 0 || max_v % v_in != 0) return false;
  plane.across = max_h / h_in;
  plane.down = max_v / v_in;
  plane.width =
      ceil_div(static_cast<std::uint64_t>(frame.width) * static_cast<unsigned>(component.h * plane.edge),
               static_cast<unsigned>(max_h * 8));
  plane.height =
      ceil_div(static_cast<std::uint64_t>(frame.height) * static_cast<unsigned>(component.v * plane.edge),
               static_cast<unsigned>(max_v * 8));
  // jdsample.c: too narrow a plane has its samples repeated, unless only rows are to be doubled.
  const bool wide = plane.width > 2;
  plane.smooth_across = plane.across == 2 && plane.down <= 2 && wide;
  plane.smooth_down = plane.down == 2 && (plane.across == 1 || (plane.across == 2 && wide));
  // One component's scan is not interleaved: its MCU is a block (T.81, A.2.2).
  plane.h = frame.count == 1 ? 1 : component.h;
  plane.v = frame.count == 1 ? 1 : component.v;
  return true;
}

}  // namespace

std::uint64_t Layout::next_wanted(std::uint64_t mcu) const {
  std::uint64_t row = mcu / mcus_across;
  const std::uint64_t column = mcu % mcus_across;
  if (row >= my1) return mcus();
  if (row < my0) return static_cast<std::uint64_t>(my0) * mcus_across + mx0;
  if (column < mx0) return row * mcus_across + mx0;
  if (column < mx1) return mcu;
  ++row;
  return row < my1 ? row * mcus_across + mx0 : mcus();
}

bool make_layout(const Frame& frame, int reduce, const Region& region, Layout& layout) {
  layout = Layout{};
  const int least = 8 / reduce;
  int max_h = 1, max_v = 1, blocks = 0;
  for (int c = 0; c < frame.count; ++c) {
    max_h = std::max(max_h, frame.components[c].h);
    max_v = std::max(max_v, frame.components[c].v);
    blocks += frame.components[c].h * frame.components[c].v;
  }
  if (frame.count > 1 && blocks > kMaxBlocksInMcu) return false;
  layout.count = frame.count;
  layout.width = ceil_div(frame.width, static_cast<unsigned>(reduce));
  layout.height = ceil_div(frame.height, static_cast<unsigned>(reduce));
  layout.held = region_within(region, layout.width, layout.height);
  if (frame.count == 1) {
    max_h = frame.components[0].h;
    max_v = frame.components[0].v;
  }
  const int across = frame.count == 1 ? 1 : max_h, down = frame.count == 1 ? 1 : max_v;
  layout.mcu_height = static_cast<std::uint32_t>(down * least);
  layout.mcus_across = ceil_div(frame.width, static_cast<unsigned>(8 * across));
  layout.mcus_down = ceil_div(frame.height, static_cast<unsigned>(8 * down));
  layout.mx0 = layout.mcus_across;
  layout.my0 = layout.mcus_down;
  for (int c = 0; c < frame.count; ++c) {
    Plane& p = layout.planes[c];
    if (!make_plane(frame.components[c], frame, least, max_h, max_v, p)) return false;
    needed(layout.held.x0, layout.held.x1, p.across, p.smooth_across, p.width, p.x0, p.x1);
    needed(layout.held.y0, layout.held.y1, p.down, p.smooth_down, p.height, p.y0, p.y1);
    if (p.x0 >= p.x1 || p.y0 >= p.y1) return false;
    const auto edge = static_cast<std::uint32_t>(p.edge);
    p.bx0 = p.x0 / edge;
    p.bx1 = ceil_div(p.x1, edge);
    p.by0 = p.y0 / edge;
    p.by1 = ceil_div(p.y1, edge);
    layout.mx0 = std::min(layout.mx0, p.bx0 / static_cast<std::uint32_t>(p.h));
    layout.mx1 = std::max(layout.mx1, ceil_div(p.bx1, static_cast<std::uint32_t>(p.h)));
    layout.my0 = std::min(layout.my0, p.by0 / static_cast<std::uint32_t>(p.v));
    layout.my1 = std::max(layout.my1, ceil_div(p.by1, static_cast<std::uint32_t>(p.v)));
    layout.looks_down = layout.looks_down || p.smooth_down;
  }
  return true;
}

}  // namespace medshard::decode::jpeg
