#include "decode/rle.hpp"

#include <cstring>
#include <string>

#include "core/error.hpp"

namespace medshard::decode {
namespace {

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kLongest = 128;  // bytes of one literal or run

std::uint32_t read_u32(const std::uint8_t* data) {
  return static_cast<std::uint32_t>(data[3]) << 24 | static_cast<std::uint32_t>(data[2]) << 16 |
         static_cast<std::uint32_t>(data[1]) << 8 | data[0];
}

// Copies in whole steps of 32 bytes, since a call of memcpy costs more than what it copies here.
inline void copy_steps(std::uint8_t* to, const std::uint8_t* from, std::size_t count) {
  for (std::size_t i = 0; i < count; i += 32) std::memcpy(to + i, from + i, 32);
}

// Fills `plane` bytes and may write up to kLongest beyond them; what the segment has beyond is padding.
bool unpack(const std::uint8_t* in, const std::uint8_t* end, std::uint8_t* out, std::size_t plane) {
  std::uint8_t* const last = out + plane;
  while (out < last) {
    if (in >= end) return false;
    const unsigned control = *in++;
    if (control < 128) {
      const std::size_t count = control + 1;
      const std::size_t left = static_cast<std::size_t>(end - in);
      if (left >= kLongest) {
        copy_steps(out, in, count);
      } else if (count <= left) {
        std::memcpy(out, in, count);
      } else {
        return false;
      }
      in += count;
      out += count;
    } else if (control > 128) {
      if (in >= end) return false;
      std::memset(out, *in++, kLongest);
      out += 257 - control;
    }
  }
  return true;
}

}  // namespace

void decode_rle(const std::uint8_t* data, std::size_t size, int segments, std::size_t plane,
                std::vector<std::uint8_t>& out) {
  if (size < kHeaderBytes) throw DecodeError("RLE: the header is cut off");
  if (read_u32(data) != static_cast<std::uint32_t>(segments) || segments > 15) {
    throw DecodeError("RLE: has " + std::to_string(read_u32(data)) + " segments, expected " +
                      std::to_string(segments));
  }
  // Two bytes unpack to at most 128: no memory is taken for what cannot be there.
  if (plane > size * 64) throw DecodeError("RLE: the stream is too short for its pixels");
  out.resize(plane * segments + kLongest);
  for (int segment = 0; segment < segments; ++segment) {
    const std::size_t begin = read_u32(data + 4 + 4 * segment);
    const std::size_t end = segment + 1 < segments ? read_u32(data + 8 + 4 * segment) : size;
    if (begin < kHeaderBytes || begin > end || end > size) {
      throw DecodeError("RLE: a segment lies outside the stream");
    }
    if (!unpack(data + begin, data + end, out.data() + plane * segment, plane)) {
      throw DecodeError("RLE: segment " + std::to_string(segment + 1) + " of " + std::to_string(segments) +
                        " is too short");
    }
  }
}

}  // namespace medshard::decode
