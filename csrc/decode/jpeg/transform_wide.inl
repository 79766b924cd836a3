// The 8 x 8 inverse DCT for samples of 12 bits: jidctint as libjpeg builds it for them, with 32-bit
// intermediates and one bit fewer after the first pass.

constexpr int kWidePass1Bits = 1;

inline void transform8_wide(const std::int32_t* in, int step, std::int64_t* out) {
  const auto at = [&](int i) { return static_cast<std::int64_t>(in[i * step]); };
  const std::int64_t z1 = (at(2) + at(6)) * 4433;
  const std::int64_t even2 = z1 - at(6) * 15137, even3 = z1 + at(2) * 6270;
  const std::int64_t even0 = (at(0) + at(4)) * (1 << kConstBits), even1 = (at(0) - at(4)) * (1 << kConstBits);
  const std::int64_t sums[4] = {even0 + even3, even1 + even2, even1 - even2, even0 - even3};
  const std::int64_t z5 = (at(7) + at(3) + at(5) + at(1)) * 9633;
  const std::int64_t z3 = z5 - (at(7) + at(3)) * 16069, z4 = z5 - (at(5) + at(1)) * 3196;
  const std::int64_t outer = (at(7) + at(1)) * -7373, inner = (at(5) + at(3)) * -20995;
  const std::int64_t odd[4] = {at(1) * 12299 + outer + z4, at(3) * 25172 + inner + z3,
                               at(5) * 16819 + inner + z4, at(7) * 2446 + outer + z3};
  for (int i = 0; i < 4; ++i) {
    out[i] = sums[i] + odd[i];
    out[7 - i] = sums[i] - odd[i];
  }
}

inline std::int32_t descale_wide(std::int64_t value, int bits) {
  return static_cast<std::int32_t>((value + (std::int64_t{1} << (bits - 1))) >> bits);
}

inline void inverse_12bit(const std::int16_t* block, const ScanComponent& component, std::uint16_t* out) {
  std::int32_t scaled[64], rows[64];
  for (int i = 0; i < 64; ++i) scaled[i] = static_cast<std::int32_t>(block[i]) * component.quantiser[i];
  std::int64_t sums[8];
  for (int x = 0; x < 8; ++x) {
    transform8_wide(scaled + x, 8, sums);
    for (int y = 0; y < 8; ++y) rows[y * 8 + x] = descale_wide(sums[y], kConstBits - kWidePass1Bits);
  }
  for (int y = 0; y < 8; ++y) {
    transform8_wide(rows + y * 8, 1, sums);
    for (int x = 0; x < 8; ++x) {
      const std::int32_t value = descale_wide(sums[x], kConstBits + kWidePass1Bits + 3) + 2048;
      out[static_cast<std::size_t>(y) * component.stride + static_cast<std::size_t>(x)] =
          static_cast<std::uint16_t>(value < 0      ? 0
                                     : value > 4095 ? 4095
                                                    : value);
    }
  }
}
