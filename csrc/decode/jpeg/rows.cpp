#include "decode/jpeg/rows.hpp"

#include <algorithm>
#include <cstring>

#include "decode/jpeg/cmyk.hpp"

namespace medshard::decode::jpeg {
namespace {

void grow(std::vector<std::uint8_t>& bytes, std::size_t size) {
  if (bytes.size() < size) bytes.resize(size);
}

}  // namespace

void Rows::begin(const Layout& layout, Colour colour, int bits, const Level& level, Scan& scan, Pixels& out) {
  layout_ = &layout;
  level_ = &level;
  out_ = &out;
  colour_ = colour;
  sample_bytes_ = bits == 16 ? 2 : 1;
  next_ = layout.held.y0;
  out.width = layout.width;
  out.height = layout.height;
  out.held = layout.held;
  out.channels = layout.count == 1 ? 1 : 3;
  out.bits = bits;
  out.bytes.resize(out.row_bytes() * out.held.height());
  for (int c = 0; c < layout.count; ++c) {
    const Plane& p = layout.planes[c];
    strides_[c] = static_cast<std::size_t>(p.bx1 - p.bx0) * static_cast<unsigned>(p.edge);
    const std::size_t rows = 1 + static_cast<std::size_t>(p.v * p.edge);
    const auto bytes = static_cast<std::size_t>(sample_bytes_);
    grow(strips_[c], strides_[c] * rows * bytes);
    if (p.across > 1 || p.smooth_down)
      grow(lines_[c], static_cast<std::size_t>(p.x1 - p.x0) * static_cast<unsigned>(p.across) * bytes);
    scan.components[c].samples = strips_[c].data() + strides_[c] * bytes;
    scan.components[c].stride = strides_[c];
  }
}

void Rows::finish(std::uint32_t mcu_row) {
  const Layout& layout = *layout_;
  const std::uint64_t below = (static_cast<std::uint64_t>(mcu_row) + 1) * layout.mcu_height;
  std::uint64_t limit = layout.held.y1;
  if (mcu_row + 1 < layout.my1) limit = std::min(limit, below - (layout.looks_down ? 1 : 0));
  if (sample_bytes_ == 2) {
    make_pixels<std::uint16_t>(mcu_row, static_cast<std::uint32_t>(limit));
  } else {
    make_pixels<std::uint8_t>(mcu_row, static_cast<std::uint32_t>(limit));
  }
  for (int c = 0; c < layout.count; ++c) {
    const Plane& p = layout.planes[c];
    const std::size_t bytes = strides_[c] * static_cast<unsigned>(sample_bytes_);
    std::memcpy(strips_[c].data(), strips_[c].data() + bytes * static_cast<unsigned>(p.v * p.edge), bytes);
  }
}

// The needed samples of a component's row, from column x0 on; beyond the picture its first or last row.
template <typename Sample>
const Sample* Rows::row(int c, std::int64_t y, std::uint32_t mcu_row) const {
  const Plane& p = layout_->planes[c];
  y = std::clamp<std::int64_t>(y, 0, static_cast<std::int64_t>(p.height) - 1);
  const std::int64_t place = y - static_cast<std::int64_t>(mcu_row) * (p.v * p.edge) + 1;
  const auto* samples = reinterpret_cast<const Sample*>(strips_[c].data());
  return samples + static_cast<std::size_t>(place) * strides_[c] +
         (p.x0 - p.bx0 * static_cast<unsigned>(p.edge));
}

// Upsampled across and down, from pixel x0 * across on.
const std::uint8_t* Rows::spread(int c, std::uint32_t y, std::uint32_t mcu_row) {
  const Plane& p = layout_->planes[c];
  const std::size_t count = p.x1 - p.x0;
  const std::int64_t at = y / static_cast<unsigned>(p.down);
  const auto* near = row<std::uint8_t>(c, at, mcu_row);
  std::uint8_t* out = lines_[c].data();
  if (p.smooth_down) {
    const auto* far = row<std::uint8_t>(c, y % 2 == 0 ? at - 1 : at + 1, mcu_row);
    if (p.smooth_across) {
      level_->spread_2x2(near, far, count, out);
    } else {
      level_->spread_1x2(near, far, count, y % 2 == 0 ? 1 : 2, out);
    }
    return out;
  }
  if (p.smooth_across) {
    level_->spread_2x1(near, count, out);
    return out;
  }
  const auto across = static_cast<std::size_t>(p.across);
  for (std::size_t x = 0; x < count; ++x) std::memset(out + x * across, near[x], across);
  return out;
}

// Samples for the row's pixels, from the region's first column on.
template <typename Sample>
const Sample* Rows::line(int c, std::uint32_t y, std::uint32_t mcu_row) {
  const Plane& p = layout_->planes[c];
  const std::size_t skip = layout_->held.x0 - p.x0 * static_cast<std::size_t>(p.across);
  if constexpr (sizeof(Sample) == 1) {
    if (p.across > 1 || p.smooth_down) return spread(c, y, mcu_row) + skip;
  }
  return row<Sample>(c, y / static_cast<unsigned>(p.down), mcu_row) + skip;
}

template <typename Sample>
void Rows::make_pixels(std::uint32_t mcu_row, std::uint32_t limit) {
  const Layout& layout = *layout_;
  const std::size_t count = layout.held.width();
  for (; next_ < limit; ++next_) {
    auto* out = reinterpret_cast<Sample*>(out_->bytes.data() + out_->row_bytes() * (next_ - layout.held.y0));
    const Sample* in[kMaxComponents] = {};
    for (int c = 0; c < layout.count; ++c) in[c] = line<Sample>(c, next_, mcu_row);
    if (layout.count == 1) {
      std::memcpy(out, in[0], count * sizeof(Sample));
      continue;
    }
    if constexpr (sizeof(Sample) == 1) {
      if (colour_ == Colour::ycc || colour_ == Colour::ycck)
        level_->ycc_to_rgb(in[0], in[1], in[2], count, out);
      if (colour_ == Colour::ycc) continue;
      if (colour_ == Colour::ycck) {
        ycck_to_rgb(in[3], count, out);
        continue;
      }
      if (colour_ == Colour::cmyk) {
        cmyk_to_rgb(in[0], in[1], in[2], in[3], count, out);
        continue;
      }
    }
    for (std::size_t x = 0; x < count; ++x) {
      out[3 * x] = in[0][x];
      out[3 * x + 1] = in[1][x];
      out[3 * x + 2] = in[2][x];
    }
  }
}

}  // namespace medshard::decode::jpeg
