// What stands before the pixels of a JPEG stream: ITU-T T.81 (B.2), JFIF 1.02, Adobe TN 5116.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::decode::jpeg {

constexpr int kMaxComponents = 4;
constexpr int kMaxBlocksInMcu = 10;  // T.81, B.2.3

// How samples become grey or RGB; `unknown` is left to libjpeg.
enum class Colour { grey, ycc, rgb, cmyk, ycck, unknown };

// A table as it stands in the stream: how many codes of each length, and their symbols in order.
struct HuffmanSpec {
  bool defined = false;
  std::uint8_t counts[17] = {};  // [1] to [16]
  std::uint8_t symbols[256] = {};
};

struct FrameComponent {
  int id = 0, h = 1, v = 1, quantiser = 0;  // of the frame header
  int dc = 0, ac = 0;                       // of the scan header
};

struct Frame {
  int marker = 0;  // 0xC0 baseline, 0xC1 extended, 0xC2 progressive; others are refused before
  int precision = 8;
  std::uint32_t width = 0, height = 0;
  int count = 0;
  FrameComponent components[kMaxComponents];
  Colour colour = Colour::unknown;
  int orientation = 1;  // EXIF 2.32, 4.6.4: 1 to 8
  std::uint32_t restart_interval = 0;
  bool quantiser_defined[4] = {};
  std::uint16_t quantisers[4][64] = {};  // rows of frequencies, not zigzag
  HuffmanSpec dc[4], ac[4];
  bool whole_scan = false;      // the first scan has all components, in order, and all coefficients
  std::size_t scan_begins = 0;  // of its entropy-coded bytes
};

inline bool is_sequential_12bit(const Frame& frame) { return frame.marker == 0xC1 && frame.precision == 12; }

// Reads up to the first scan's bytes. False when anything is not as expected: libjpeg then has the word.
bool read_frame(const std::uint8_t* data, std::size_t size, Frame& frame);

// The code of the next marker and, in `place`, where it ends; bytes between segments are passed over. -1 when
// none.
int next_marker(const std::uint8_t* data, std::size_t size, std::size_t& place);

// Whether the stream comes to its end properly after `place`, past segments that hold no pixels.
bool reaches_end(const std::uint8_t* data, std::size_t size, std::size_t place);

}  // namespace medshard::decode::jpeg
