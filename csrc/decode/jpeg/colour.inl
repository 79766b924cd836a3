// Upsampling of chroma and colour conversion, bit by bit as libjpeg defines them (jdsample.c, jdcolor.c).

void spread_2x1(const std::uint8_t* __restrict in, std::size_t count, std::uint8_t* __restrict out) {
  out[0] = in[0];
  for (std::size_t i = 1; i < count; ++i) {
    out[2 * i - 1] = static_cast<std::uint8_t>((3 * in[i - 1] + in[i] + 2) >> 2);
    out[2 * i] = static_cast<std::uint8_t>((3 * in[i] + in[i - 1] + 1) >> 2);
  }
  out[2 * count - 1] = in[count - 1];
}

void spread_2x2(const std::uint8_t* __restrict near, const std::uint8_t* __restrict far, std::size_t count,
                std::uint8_t* __restrict out) {
  const auto column = [&](std::size_t i) { return 3 * near[i] + far[i]; };
  out[0] = static_cast<std::uint8_t>((4 * column(0) + 8) >> 4);
  for (std::size_t i = 1; i < count; ++i) {
    const int left = column(i - 1), right = column(i);
    out[2 * i - 1] = static_cast<std::uint8_t>((3 * left + right + 7) >> 4);
    out[2 * i] = static_cast<std::uint8_t>((3 * right + left + 8) >> 4);
  }
  out[2 * count - 1] = static_cast<std::uint8_t>((4 * column(count - 1) + 7) >> 4);
}

void spread_1x2(const std::uint8_t* __restrict near, const std::uint8_t* __restrict far, std::size_t count,
                int bias, std::uint8_t* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<std::uint8_t>((3 * near[i] + far[i] + bias) >> 2);
  }
}

inline std::uint8_t clip8(int value) {
  return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Factors are 1.402, 0.34414, 0.71414 and 1.772 in 1/65536.
inline void ycc_to_rgb_of(int y, int cb, int cr, std::uint8_t* out) {
  cb -= 128;
  cr -= 128;
  out[0] = clip8(y + ((91881 * cr + 32768) >> 16));
  out[1] = clip8(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
  out[2] = clip8(y + ((116130 * cb + 32768) >> 16));
}

void ycc_to_rgb_scalar(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr,
                       std::size_t count, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; ++i) ycc_to_rgb_of(y[i], cb[i], cr[i], out + 3 * i);
}
