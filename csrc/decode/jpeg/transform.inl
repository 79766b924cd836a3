// The inverse DCT in plain C++: 8 x 8, and the 4 x 4 and 2 x 2 that give half and quarter size. The
// arithmetic is that of libjpeg's jidctint and jidctred (Loeffler, Ligtenberg and Moschytz 1989), with the
// 16-bit intermediates of libjpeg-turbo's vector code, so that hostile coefficients, too, give what it gives.

constexpr int kConstBits = 13, kPass1Bits = 2;

inline std::int16_t wrap16(std::int32_t value) { return static_cast<std::int16_t>(value); }
inline std::int16_t saturate16(std::int32_t value) {
  return static_cast<std::int16_t>(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}
inline std::uint8_t to_sample(std::int32_t value) {
  value = saturate16(value);
  return static_cast<std::uint8_t>((value < -128 ? -128 : value > 127 ? 127 : value) + 128);
}
// Sums of products modulo 2^32, as vector units make them.
inline std::uint32_t times(std::int32_t value, std::int32_t factor) {
  return static_cast<std::uint32_t>(value) * static_cast<std::uint32_t>(factor);
}
inline std::int32_t descale(std::uint32_t value, int bits) {
  return static_cast<std::int32_t>(value + (1u << (bits - 1))) >> bits;
}

inline void transform8(const std::int16_t* in, int step, std::uint32_t* out) {
  const auto at = [&](int i) { return static_cast<std::int32_t>(in[i * step]); };
  const std::uint32_t even2 = times(at(2), 4433) + times(at(6), 4433 - 15137);
  const std::uint32_t even3 = times(at(2), 4433 + 6270) + times(at(6), 4433);
  const std::uint32_t even0 = times(wrap16(at(0) + at(4)), 1 << kConstBits);
  const std::uint32_t even1 = times(wrap16(at(0) - at(4)), 1 << kConstBits);
  const std::uint32_t sums[4] = {even0 + even3, even1 + even2, even1 - even2, even0 - even3};
  const std::int32_t z3 = wrap16(at(7) + at(3)), z4 = wrap16(at(5) + at(1));
  const std::uint32_t turned3 = times(z3, 9633 - 16069) + times(z4, 9633);
  const std::uint32_t turned4 = times(z3, 9633) + times(z4, 9633 - 3196);
  const std::uint32_t odd[4] = {
      times(at(7), -7373) + times(at(1), 12299 - 7373) + turned4,
      times(at(5), -20995) + times(at(3), 25172 - 20995) + turned3,
      times(at(5), 16819 - 20995) + times(at(3), -20995) + turned4,
      times(at(7), 2446 - 7373) + times(at(1), -7373) + turned3,
  };
  for (int i = 0; i < 4; ++i) {
    out[i] = sums[i] + odd[i];
    out[7 - i] = sums[i] - odd[i];
  }
}

inline void transform4(const std::int16_t* in, int step, std::uint32_t* out) {
  const auto at = [&](int i) { return static_cast<std::int32_t>(in[i * step]); };
  const std::uint32_t even0 = times(at(0), 1 << (kConstBits + 1));
  const std::uint32_t even2 = times(at(2), 15137) + times(at(6), -6270);
  const std::uint32_t odd0 =
      times(at(7), -1730) + times(at(5), 11893) + times(at(3), -17799) + times(at(1), 8697);
  const std::uint32_t odd2 =
      times(at(7), -4176) + times(at(5), -4926) + times(at(3), 7373) + times(at(1), 20995);
  out[0] = even0 + even2 + odd2;
  out[1] = even0 - even2 + odd0;
  out[2] = even0 - even2 - odd0;
  out[3] = even0 + even2 - odd2;
}

// `kEdge` samples, 8 or 4, each way out of the 8 x 8 coefficients.
template <int kEdge>
inline void inverse_scalar(std::int16_t* block, const std::uint16_t* quantiser, std::uint8_t* out,
                           std::size_t stride) {
  constexpr int kExtra = kEdge == 8 ? 0 : 1;
  std::int16_t rows[kEdge * 8];
  bool flat = true;  // nothing below the first row of frequencies (those that this size uses)
  for (int i = 0; i < 64; ++i) {
    block[i] = wrap16(static_cast<std::int32_t>(block[i]) * static_cast<std::int16_t>(quantiser[i]));
    const int row = i >> 3;
    const bool used = kEdge == 8 || row != 4;
    if (row > 0 && used && block[i] != 0) flat = false;
  }
  for (int x = 0; x < 8; ++x) {
    if (flat) {
      for (int y = 0; y < kEdge; ++y) rows[y * 8 + x] = wrap16(block[x] * (1 << kPass1Bits));
      continue;
    }
    std::uint32_t sums[kEdge];
    if constexpr (kEdge == 8) transform8(block + x, 8, sums);
    if constexpr (kEdge == 4) transform4(block + x, 8, sums);
    for (int y = 0; y < kEdge; ++y) {
      rows[y * 8 + x] = saturate16(descale(sums[y], kConstBits - kPass1Bits + kExtra));
    }
  }
  for (int y = 0; y < kEdge; ++y) {
    std::uint32_t sums[kEdge];
    if constexpr (kEdge == 8) transform8(rows + y * 8, 1, sums);
    if constexpr (kEdge == 4) transform4(rows + y * 8, 1, sums);
    for (int x = 0; x < kEdge; ++x) {
      out[static_cast<std::size_t>(y) * stride + static_cast<std::size_t>(x)] =
          to_sample(descale(sums[x], kConstBits + kPass1Bits + 3 + kExtra));
    }
  }
}

// Two samples each way. The mean of each row keeps 32 bits between the passes, as in libjpeg-turbo.
inline void inverse2(const std::int16_t* block, const std::uint16_t* quantiser, std::uint8_t* out,
                     std::size_t stride) {
  const auto scaled = [&](int row, int x) {
    const int i = 8 * row + x;
    return static_cast<std::int32_t>(
        wrap16(static_cast<std::int32_t>(block[i]) * static_cast<std::int16_t>(quantiser[i])));
  };
  const auto odd_part = [](std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
    return times(a, 29692) + times(b, -10426) + times(c, 6967) + times(d, -5906);
  };
  std::int32_t rows[2][8];
  for (const int x : {0, 1, 3, 5, 7}) {
    const std::uint32_t even = times(scaled(0, x), 1 << (kConstBits + 2));
    const std::uint32_t odd = odd_part(scaled(1, x), scaled(3, x), scaled(5, x), scaled(7, x));
    rows[0][x] = descale(even + odd, kConstBits - kPass1Bits + 2);
    rows[1][x] = descale(even - odd, kConstBits - kPass1Bits + 2);
  }
  for (int y = 0; y < 2; ++y) {
    const std::int32_t* r = rows[y];
    const std::uint32_t even = times(r[0], 1 << (kConstBits + 2));
    const std::uint32_t odd =
        odd_part(saturate16(r[1]), saturate16(r[3]), saturate16(r[5]), saturate16(r[7]));
    std::uint8_t* to = out + static_cast<std::size_t>(y) * stride;
    to[0] = to_sample(descale(even + odd, kConstBits + kPass1Bits + 3 + 2));
    to[1] = to_sample(descale(even - odd, kConstBits + kPass1Bits + 3 + 2));
  }
}
