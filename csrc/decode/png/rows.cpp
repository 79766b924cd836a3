#include "decode/png/rows.hpp"

#include <cstring>

namespace medshard::decode::png {
namespace {

inline std::uint8_t few_bits(const std::uint8_t* row, std::size_t index, int depth) {
  const std::size_t bit = index * depth;  // the first sample stands in the highest bits (7.2)
  return static_cast<std::uint8_t>((row[bit / 8] >> (8 - depth - bit % 8)) & ((1 << depth) - 1));
}

inline std::uint16_t big16(const std::uint8_t* at) { return static_cast<std::uint16_t>(at[0] << 8 | at[1]); }

void swap_bytes(const std::uint8_t* __restrict in, std::size_t count, std::uint8_t* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint16_t value = big16(in + 2 * i);
    std::memcpy(out + 2 * i, &value, 2);
  }
}

void unpack_wide(const Stream& stream, const std::uint8_t* in, std::size_t count, std::uint8_t* out,
                 std::size_t apart) {
  const int samples = stream.stored_samples();
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t pixel[4];
    const std::uint8_t* at = in + 2 * i * samples;
    if (samples == 2) {
      pixel[0] = pixel[1] = pixel[2] = big16(at);
      pixel[3] = big16(at + 2);
    } else {
      for (int k = 0; k < samples; ++k) pixel[k] = big16(at + 2 * k);
    }
    std::memcpy(out + i * apart, pixel, pixel_bytes(stream));
  }
}

// The length of a colour is a constant, so that it is copied by one or two moves.
template <int Channels>
void look_up(const Stream& stream, const std::uint8_t* row, std::size_t first, std::size_t count,
             std::uint8_t* out, std::size_t apart) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t index = stream.depth == 8 ? row[first + i] : few_bits(row, first + i, stream.depth);
    std::memcpy(out + i * apart, stream.palette[index].data(), Channels);
  }
}

}  // namespace

void unpack(const Stream& stream, const std::uint8_t* row, std::size_t first, std::size_t count,
            std::uint8_t* out, std::size_t apart) {
  const int samples = stream.stored_samples();
  const bool together = apart == pixel_bytes(stream), same = samples == stream.channels();
  if (stream.depth == 16) {
    const std::uint8_t* in = row + first * samples * 2;
    if (together && same) return swap_bytes(in, count * samples, out);
    return unpack_wide(stream, in, count, out, apart);
  }
  if (stream.colour == Colour::palette) {
    if (stream.transparent) return look_up<4>(stream, row, first, count, out, apart);
    return look_up<3>(stream, row, first, count, out, apart);
  }
  if (stream.depth < 8) {
    const int spread = 255 / ((1 << stream.depth) - 1);
    for (std::size_t i = 0; i < count; ++i) {
      out[i * apart] = static_cast<std::uint8_t>(few_bits(row, first + i, stream.depth) * spread);
    }
    return;
  }
  const std::uint8_t* in = row + first * samples;
  if (together && same) {
    std::memcpy(out, in, count * samples);
  } else if (same) {
    for (std::size_t i = 0; i < count; ++i) std::memcpy(out + i * apart, in + i * samples, samples);
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t pixel[4] = {in[2 * i], in[2 * i], in[2 * i], in[2 * i + 1]};
      std::memcpy(out + i * apart, pixel, 4);
    }
  }
}

}  // namespace medshard::decode::png
