#include "decode/jpegls/decode.hpp"

#include <algorithm>
#include <cstring>

// In this file alone, so that the compiler may inline what is called in one place.
#include "decode/jpegls/bits.inl"
#include "decode/jpegls/scan.inl"

namespace medshard::decode {
namespace {

struct Frame {
  int precision = 0, channels = 0;
  std::size_t width = 0, height = 0;
  std::uint8_t ids[4] = {0, 0, 0, 0};
};

std::size_t read_u16(const std::uint8_t* data) { return static_cast<std::size_t>(data[0]) << 8 | data[1]; }

// Where the entropy-coded bytes end: at a marker, which follows FF with its first bit set.
std::size_t scan_end(const std::uint8_t* data, std::size_t size, std::size_t place) {
  while (place + 1 < size) {
    const auto* found = static_cast<const std::uint8_t*>(std::memchr(data + place, 0xFF, size - place - 1));
    if (found == nullptr) return size;
    place = static_cast<std::size_t>(found - data);
    if (data[place + 1] >= 0x80 && data[place + 1] != 0xFF) return place;
    ++place;
  }
  return size;
}

template <typename Sample>
void store(const std::uint16_t* line, std::size_t width, std::size_t stride, std::uint8_t* to) {
  auto* out = reinterpret_cast<Sample*>(to);
  for (std::size_t x = 0; x < width; ++x) out[x * stride] = static_cast<Sample>(line[x]);
}

void decode_scan(const Frame& frame, const std::vector<int>& channels, const Preset& preset, int near,
                 const PlainBits& plain, Pixels& out) {
  Scan scan(preset, near, plain);
  const std::size_t stride = static_cast<std::size_t>(frame.channels), sample = out.bits == 8 ? 1 : 2;
  const std::size_t padded = frame.width + 2, count = channels.size();
  std::vector<std::uint16_t> lines(2 * count * padded, 0);
  std::vector<int> run_index(count, 0);
  for (std::size_t y = 0; y < frame.height; ++y) {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t* line = lines.data() + (2 * i + y % 2) * padded + 1;
      std::uint16_t* above = lines.data() + (2 * i + (y + 1) % 2) * padded + 1;
      above[frame.width] = above[frame.width - 1];
      line[-1] = above[0];
      const int width = static_cast<int>(frame.width);
      if (near > 0) {
        scan.decode_line<Values::near>(line, above, width, run_index[i]);
      } else if ((preset.max_value & (preset.max_value + 1)) != 0) {
        scan.decode_line<Values::lossless>(line, above, width, run_index[i]);
      } else {
        scan.decode_line<Values::whole_bits>(line, above, width, run_index[i]);
      }
      std::uint8_t* to =
          out.bytes.data() + ((y * frame.width) * stride + static_cast<std::size_t>(channels[i])) * sample;
      if (sample == 1) {
        store<std::uint8_t>(line, frame.width, stride, to);
      } else {
        store<std::uint16_t>(line, frame.width, stride, to);
      }
    }
  }
}

}  // namespace

bool decode_jpegls_scans(const std::uint8_t* data, std::size_t size, std::uint64_t max_pixels, Pixels& out) {
  if (size < 4 || data[0] != 0xFF || data[1] != 0xD8) damaged("has no start of image");
  Frame frame;
  Preset told;
  bool has_preset = false;
  int missing = -1;  // components without a scan; -1 before the frame header
  std::size_t place = 2;
  while (missing != 0) {
    while (place + 1 < size && data[place] == 0xFF && data[place + 1] == 0xFF) ++place;
    if (place + 4 > size || data[place] != 0xFF) damaged("is cut off");
    const int marker = data[place + 1];
    if (marker == 0xD9) damaged("scans are missing");
    const std::size_t length = read_u16(data + place + 2);
    if (length < 2 || length > size - place - 2) damaged("a segment is cut off");
    const std::uint8_t* body = data + place + 4;
    const std::size_t held = length - 2;
    place += 2 + length;
    if (marker == 0xF7) {
      if (missing >= 0 || held < 6) damaged("the frame header is damaged");
      frame.precision = body[0];
      frame.height = read_u16(body + 1);
      frame.width = read_u16(body + 3);
      frame.channels = body[5];
      if (frame.precision < 2 || frame.precision > 16 || frame.channels < 1 || frame.channels > 4)
        return false;
      if (held < 6 + 3 * static_cast<std::size_t>(frame.channels)) damaged("the frame header is cut off");
      for (int c = 0; c < frame.channels; ++c) frame.ids[c] = body[6 + 3 * c];
      check_size(frame.width, frame.height, max_pixels);
      out.width = static_cast<std::uint32_t>(frame.width);
      out.height = static_cast<std::uint32_t>(frame.height);
      out.held = {0, 0, out.width, out.height};
      out.channels = frame.channels;
      out.precision = frame.precision;
      out.bits = frame.precision <= 8 ? 8 : 16;
      out.is_signed = false;
      out.bytes.resize(out.row_bytes() * out.height);
      missing = frame.channels;
    } else if (marker == 0xF8) {
      if (held < 11 || body[0] != 1) return false;
      told = {static_cast<int>(read_u16(body + 1)), static_cast<int>(read_u16(body + 3)),
              static_cast<int>(read_u16(body + 5)), static_cast<int>(read_u16(body + 7)),
              static_cast<int>(read_u16(body + 9))};
      has_preset = true;
    } else if (marker == 0xDD || (marker == 0xE8 && held >= 4 && std::memcmp(body, "mrfx", 4) == 0)) {
      return false;
    } else if (marker == 0xDA) {
      const int count = held > 0 ? body[0] : 0;
      if (missing < 0 || count < 1 || count > missing || held < 4 + 2 * static_cast<std::size_t>(count)) {
        damaged("a scan header is damaged");
      }
      std::vector<int> channels;
      for (int i = 0; i < count; ++i) {
        const auto* found = std::find(frame.ids, frame.ids + frame.channels, body[1 + 2 * i]);
        if (found == frame.ids + frame.channels || body[2 + 2 * i] != 0) return false;
        channels.push_back(static_cast<int>(found - frame.ids));
      }
      const int near = body[1 + 2 * count], layout = body[2 + 2 * count];
      if (layout > 1 || (layout == 0 && count != 1) || (body[3 + 2 * count] & 15) != 0) return false;
      const int top = (1 << frame.precision) - 1;
      const int max_value = has_preset && told.max_value > 0 ? told.max_value : top;
      if (max_value > top || near > std::min(255, max_value / 2))
        damaged("the coding parameters are damaged");
      Preset preset = default_preset(max_value, near);
      if (has_preset) {
        if (told.t1 > 0) preset.t1 = told.t1;
        if (told.t2 > 0) preset.t2 = told.t2;
        if (told.t3 > 0) preset.t3 = told.t3;
        if (told.reset > 0) preset.reset = told.reset;
      }
      const bool ordered = near < preset.t1 && preset.t1 <= preset.t2 && preset.t2 <= preset.t3;
      if (!ordered || preset.t3 > max_value || preset.reset < 3 || preset.reset > 255) return false;
      const std::size_t end = scan_end(data, size, place);
      decode_scan(frame, channels, preset, near, PlainBits(data + place, data + end, frame.width), out);
      missing -= count;
      place = end;
    }
  }
  return true;
}

}  // namespace medshard::decode
