// Four inks to RGB, the way that Pillow's convert("RGB") goes: the stored values are taken as Adobe writes
// them, inverted (0 is full ink), whatever marks the stream has, and R = C * K / 255, G = M * K / 255, B = Y
// * K / 255 of the stored values, rounded. YCCK is YCbCr of the uninverted colours: C = 255 - R of the
// transform, and so on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace medshard::decode::jpeg {

// Pillow's rounding (ImagingUtils.h): a * b / 255, exact to the nearest.
inline int product_of_255(int a, int b) {
  const int whole = a * b + 128;
  return ((whole >> 8) + whole) >> 8;
}

inline std::uint8_t ink_to_light(int ink, int key) {
  return static_cast<std::uint8_t>(key - product_of_255(255 - ink, key));
}

inline void cmyk_to_rgb(const std::uint8_t* c, const std::uint8_t* m, const std::uint8_t* y,
                        const std::uint8_t* k, std::size_t count, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[3 * i] = ink_to_light(c[i], k[i]);
    out[3 * i + 1] = ink_to_light(m[i], k[i]);
    out[3 * i + 2] = ink_to_light(y[i], k[i]);
  }
}

// `rgb` holds what the YCbCr transform gave, and receives the result.
inline void ycck_to_rgb(const std::uint8_t* k, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < 3 * count; ++i) rgb[i] = ink_to_light(255 - rgb[i], k[i / 3]);
}

}  // namespace medshard::decode::jpeg
