// The chunks of a PNG stream, each checked (PNG, third edition, W3C 2023).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace medshard::decode::png {

enum class Colour : std::uint8_t { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgba = 6 };

struct Span {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

struct Stream {
  std::uint32_t width = 0, height = 0;
  int depth = 8;  // bits a sample: 1, 2, 4, 8 or 16
  Colour colour = Colour::grey;
  bool interlaced = false;
  std::array<std::array<std::uint8_t, 4>, 256> palette{};  // red, green, blue, opacity; black beyond its end
  bool transparent = false;                                // whether the palette has opacities
  std::vector<Span> pixels;      // bodies of the IDAT chunks; empty when only the head was read
  std::uint32_t strip_rows = 0;  // of a strip, each in an IDAT chunk of its own (see strips.hpp); 0 for none

  int stored_samples() const;  // a pixel, as they stand in the stream
  int channels() const;        // a pixel, as decoded: 1, 3 or 4
  int bits() const { return depth == 16 ? 16 : 8; }
  std::size_t row_bytes(std::uint32_t columns) const {  // packed, without the filter's byte
    return (static_cast<std::size_t>(columns) * stored_samples() * depth + 7) / 8;
  }
  int step() const { return stored_samples() * depth >= 8 ? stored_samples() * depth / 8 : 1; }
};

// Only what stands before the pixels. Throws DecodeError.
Stream read_head(const std::uint8_t* data, std::size_t size);

// All chunks to the end. Throws DecodeError: damaged, cut off, or a chunk that must be understood is not.
Stream read_stream(const std::uint8_t* data, std::size_t size);

// One chunk, with its length and checksum.
void append_chunk(std::vector<std::uint8_t>& out, const char* kind, const std::uint8_t* body,
                  std::size_t size);

inline std::uint32_t big32(const std::uint8_t* at) {
  return static_cast<std::uint32_t>(at[0]) << 24 | static_cast<std::uint32_t>(at[1]) << 16 |
         static_cast<std::uint32_t>(at[2]) << 8 | at[3];
}

inline void put_big32(std::uint8_t* at, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

}  // namespace medshard::decode::png
