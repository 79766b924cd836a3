// Segments of the JPEG family (T.81 B.1, T.87 C) before the first scan, without decoding.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::decode {

struct JpegMarkers {
  int process = -1;  // n of SOFn: 0 baseline, 1 extended, 2 progressive, 3 lossless, 55 JPEG-LS
  int precision = 0;
  std::uint32_t width = 0, height = 0;
  int components = 0;
  std::uint8_t ids[4] = {0, 0, 0, 0};
  bool jfif = false;
  int adobe = -1;  // colour transform of an Adobe segment
};

// False where there is no start of image or no frame header in time.
bool scan_markers(const std::uint8_t* data, std::size_t size, JpegMarkers& out);

}  // namespace medshard::decode
