// Where samples lie: sizes after the scaled transforms, the upsampling of each component, and what a region
// needs.
#pragma once

#include <cstdint>

#include "decode/image.hpp"
#include "decode/jpeg/frame.hpp"

namespace medshard::decode::jpeg {

// A component's samples. Rows and columns count from the picture's corner.
struct Plane {
  int h = 1, v = 1;            // blocks of an MCU
  int edge = 8;                // samples of a block after the transform
  int across = 1, down = 1;    // pixels a sample
  bool smooth_across = false;  // by neighbours (libjpeg's "fancy" upsampling), else repeated
  bool smooth_down = false;
  std::uint32_t width = 0, height = 0;
  std::uint32_t x0 = 0, x1 = 0, y0 = 0, y1 = 0;      // what the region needs
  std::uint32_t bx0 = 0, bx1 = 0, by0 = 0, by1 = 0;  // the same in blocks
};

struct Layout {
  std::uint32_t width = 0, height = 0;  // of the picture, reduced
  Region held;
  int count = 0;
  Plane planes[kMaxComponents];
  bool looks_down = false;                           // a row needs samples of the row of MCUs below it
  std::uint32_t mcu_height = 8;                      // pixels
  std::uint32_t mcus_across = 0, mcus_down = 0;      // of the picture
  std::uint32_t mx0 = 0, mx1 = 0, my0 = 0, my1 = 0;  // wanted ones

  std::uint64_t mcus() const { return static_cast<std::uint64_t>(mcus_across) * mcus_down; }
  // The first wanted MCU from one on, in the order of the stream; mcus() when there is none.
  std::uint64_t next_wanted(std::uint64_t mcu) const;
};

// False when the sampling is of a kind that only libjpeg has.
bool make_layout(const Frame& frame, int reduce, const Region& region, Layout& layout);

}  // namespace medshard::decode::jpeg
