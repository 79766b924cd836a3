#include "decode/jpeg/frame.hpp"

#include <cstring>

#include "decode/jpeg/exif.hpp"
#include "decode/jpeg/zigzag.hpp"

namespace medshard::decode::jpeg {
namespace {

constexpr int kSoi = 0xD8, kEoi = 0xD9, kSos = 0xDA, kDqt = 0xDB, kDht = 0xC4, kDri = 0xDD, kTem = 0x01;
constexpr std::uint32_t kMaxEdge = 65500;  // libjpeg's

bool stands_alone(int marker) { return marker == kTem || (marker >= 0xD0 && marker <= 0xD7); }
bool is_application(int marker) { return marker >= 0xE0 && marker <= 0xEF; }
bool is_comment(int marker) { return marker == 0xFE; }

// The body of a segment.
struct Body {
  const std::uint8_t* at = nullptr;
  std::size_t left = 0;

  int byte() {
    --left;
    return *at++;
  }
  int word() {
    const int high = byte();
    return high << 8 | byte();
  }
};

bool read_body(const std::uint8_t* data, std::size_t size, std::size_t& place, Body& body) {
  if (size - place < 2) return false;
  const std::size_t length = static_cast<std::size_t>(data[place]) << 8 | data[place + 1];
  if (length < 2 || length > size - place) return false;
  body = {data + place + 2, length - 2};
  place += length;
  return true;
}

bool read_quantisers(Body body, Frame& frame) {
  while (body.left > 0) {
    const int head = body.byte();
    const int wide = head >> 4, which = head & 15;
    if (wide > 1 || which > 3 || body.left < (wide ? 128u : 64u)) return false;
    for (int k = 0; k < 64; ++k) {
      frame.quantisers[which][kZigzag[k]] = static_cast<std::uint16_t>(wide ? body.word() : body.byte());
    }
    frame.quantiser_defined[which] = true;
  }
  return true;
}

bool read_codes(Body body, Frame& frame) {
  while (body.left > 0) {
    const int head = body.byte();
    if ((head & 0xEF) > 3 || body.left < 16) return false;
    HuffmanSpec& spec = (head & 0x10 ? frame.ac : frame.dc)[head & 3];
    spec = HuffmanSpec{};
    std::size_t total = 0;
    for (int length = 1; length <= 16; ++length) {
      spec.counts[length] = static_cast<std::uint8_t>(body.byte());
      total += spec.counts[length];
    }
    if (total > 256 || total > body.left) return false;
    for (std::size_t i = 0; i < total; ++i) spec.symbols[i] = static_cast<std::uint8_t>(body.byte());
    spec.defined = true;
  }
  return true;
}

bool read_frame_header(Body body, Frame& frame) {
  if (frame.count != 0 || body.left < 6) return false;
  frame.precision = body.byte();
  frame.height = static_cast<std::uint32_t>(body.word());
  frame.width = static_cast<std::uint32_t>(body.word());
  frame.count = body.byte();
  if (frame.width == 0 || frame.height == 0 || frame.width > kMaxEdge || frame.height > kMaxEdge)
    return false;
  if (frame.count != 1 && frame.count != 3 && frame.count != 4) return false;
  if (body.left != 3u * static_cast<unsigned>(frame.count)) return false;
  for (int c = 0; c < frame.count; ++c) {
    FrameComponent& component = frame.components[c];
    component.id = body.byte();
    const int sampling = body.byte();
    component.h = sampling >> 4;
    component.v = sampling & 15;
    component.quantiser = body.byte();
    if (component.h < 1 || component.h > 4 || component.v < 1 || component.v > 4) return false;
    for (int other = 0; other < c; ++other) {
      if (frame.components[other].id == component.id) return false;
    }
  }
  return true;
}

bool read_scan_header(Body body, Frame& frame) {
  if (frame.count == 0 || body.left < 1) return false;
  const int count = body.byte();
  if (count < 1 || count > 4 || body.left != 2u * static_cast<unsigned>(count) + 3u) return false;
  frame.whole_scan = count == frame.count;
  for (int c = 0; c < count; ++c) {
    const int id = body.byte(), tables = body.byte();
    if (c < frame.count) {
      frame.whole_scan = frame.whole_scan && id == frame.components[c].id;
      frame.components[c].dc = tables >> 4;
      frame.components[c].ac = tables & 15;
    }
  }
  const int first = body.byte(), last = body.byte(), bits = body.byte();
  // Writers of 12 bits, such as that of NEMA's reference files, say 0 and mean 63; libjpeg does not look.
  const bool all = last == 63 || (last == 0 && is_sequential_12bit(frame));
  frame.whole_scan = frame.whole_scan && first == 0 && all && bits == 0;
  return true;
}

// The rules of libjpeg (jdapimin.c), which everybody's files are made for.
Colour colour_of(const Frame& frame, bool jfif, int adobe) {
  const FrameComponent* c = frame.components;
  if (frame.count == 1) return Colour::grey;
  if (frame.count == 4) return adobe < 0 || adobe == 0 ? Colour::cmyk : Colour::ycck;
  if (jfif) return Colour::ycc;
  if (adobe >= 0) return adobe == 0 ? Colour::rgb : Colour::ycc;
  return c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B' ? Colour::rgb : Colour::ycc;
}

}  // namespace

int next_marker(const std::uint8_t* data, std::size_t size, std::size_t& place) {
  while (place < size) {
    const void* found = std::memchr(data + place, 0xFF, size - place);
    if (found == nullptr) break;
    place = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - data);
    while (place < size && data[place] == 0xFF) ++place;
    if (place < size && data[place++] != 0) return data[place - 1];
  }
  place = size;
  return -1;
}

bool read_frame(const std::uint8_t* data, std::size_t size, Frame& frame) {
  if (size < 4 || data[0] != 0xFF || data[1] != kSoi) return false;
  frame = Frame{};
  std::size_t place = 2;
  bool jfif = false;
  int adobe = -1;
  for (;;) {
    const int marker = next_marker(data, size, place);
    if (marker < 0) return false;
    if (stands_alone(marker)) continue;
    Body body;
    if (!read_body(data, size, place, body)) return false;
    bool good = true;
    if (marker == 0xC0 || marker == 0xC1 || marker == 0xC2) {
      frame.marker = marker;
      good = read_frame_header(body, frame);
    } else if (marker == kDqt) {
      good = read_quantisers(body, frame);
    } else if (marker == kDht) {
      good = read_codes(body, frame);
    } else if (marker == kDri) {
      good = body.left == 2;
      if (good) frame.restart_interval = static_cast<std::uint32_t>(body.word());
    } else if (marker == 0xE0) {
      jfif = jfif || (body.left >= 14 && std::memcmp(body.at, "JFIF", 5) == 0);
    } else if (marker == 0xE1) {
      const int found = exif_orientation(body.at, body.left);
      if (found != 0) frame.orientation = found;
    } else if (marker == 0xEE) {
      if (body.left >= 12 && std::memcmp(body.at, "Adobe", 5) == 0) adobe = body.at[11];
    } else if (marker == kSos) {
      if (!read_scan_header(body, frame)) return false;
      frame.colour = colour_of(frame, jfif, adobe);
      frame.scan_begins = place;
      return true;
    } else {
      good = is_application(marker) || is_comment(marker);
    }
    if (!good) return false;
  }
}

bool reaches_end(const std::uint8_t* data, std::size_t size, std::size_t place) {
  for (;;) {
    const int marker = next_marker(data, size, place);
    if (marker == kEoi) return true;
    if (stands_alone(marker)) continue;
    Body body;
    const bool harmless = marker == kDqt || marker == kDht || is_application(marker) || is_comment(marker);
    if (!harmless || !read_body(data, size, place, body)) return false;
  }
}

}  // namespace medshard::decode::jpeg
