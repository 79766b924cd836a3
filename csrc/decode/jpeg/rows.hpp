// From component samples, a row of MCUs at a time, to the pixels of the region.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decode/image.hpp"
#include "decode/jpeg/layout.hpp"
#include "decode/jpeg/levels.hpp"

namespace medshard::decode::jpeg {

class Rows {
 public:
  // Sets up `out`'s shape and the components' destinations in `scan`.
  void begin(const Layout& layout, Colour colour, int bits, const Level& level, Scan& scan, Pixels& out);
  // A row of MCUs is in its place: makes all pixels that it completes.
  void finish(std::uint32_t mcu_row);

 private:
  template <typename Sample>
  void make_pixels(std::uint32_t mcu_row, std::uint32_t limit);
  template <typename Sample>
  const Sample* line(int c, std::uint32_t y, std::uint32_t mcu_row);
  const std::uint8_t* spread(int c, std::uint32_t y, std::uint32_t mcu_row);
  template <typename Sample>
  const Sample* row(int c, std::int64_t y, std::uint32_t mcu_row) const;

  const Layout* layout_ = nullptr;
  const Level* level_ = nullptr;
  Pixels* out_ = nullptr;
  Colour colour_ = Colour::unknown;
  int sample_bytes_ = 1;
  std::uint32_t next_ = 0;  // row of the picture
  // One row of the MCUs above, then the rows of these.
  std::vector<std::uint8_t> strips_[kMaxComponents];
  std::size_t strides_[kMaxComponents] = {};  // samples
  std::vector<std::uint8_t> lines_[kMaxComponents];
};

}  // namespace medshard::decode::jpeg
