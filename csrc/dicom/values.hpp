// From stored samples to values: unused bits, sign, colour, rescale.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::dicom {

enum class ValueType : std::uint8_t { u8, i8, u16, i16, i32, f32 };
std::size_t bytes_of(ValueType type);

// Samples as a codec leaves them.
struct Samples {
  const std::uint8_t* data = nullptr;
  std::size_t count = 0;
  int bits = 8;            // of each: 8, or 16 in the machine's byte order
  bool is_signed = false;  // two's complement
};

struct Mapping {
  // Bits above this many are junk or carry the wrong sign: they become copies of the sign, or zeros. 0: all
  // are used.
  int used_bits = 0;
  bool is_signed = false;  // what the samples mean (PixelRepresentation)
  ValueType type = ValueType::u8;
  double slope = 1.0, intercept = 0.0;  // only for i16, i32 (whole numbers) and f32
};

// i16: modulo 2^16, which is exact where the caller knows that all values fit. f32: computed in double.
void write_values(const Samples& samples, const Mapping& mapping, std::uint8_t* out);

// Whether the values, without junk and before the rescale, are what this many bits can say.
bool fit_bits(const Samples& samples, const Mapping& mapping, int bits);

// YBR_FULL to RGB in place, 8 bits, interleaved (PS3.3 C.7.6.3.1.2), rounded half up.
void ybr_to_rgb(std::uint8_t* pixels, std::size_t count);

}  // namespace medshard::dicom
