// Elementary functions of float32 that a compiler can put into vectors, with the same bits at every SIMD
// level: polynomials, no library calls. Included inside a namespace of the level's name.

inline float float_of(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline float within_unit(float value) {
  value = value < 0.0f ? 0.0f : value;
  return value > 1.0f ? 1.0f : value;
}

// The nearest whole number of a value below 2 ** 22: the sum has no bits left below one.
inline float nearest_whole(float value) { return (value + 12582912.0f) - 12582912.0f; }

// Of a positive, normal number; the absolute error is below 3e-7 for results within -24..1.
inline float log2_of(float value) {
  // value = 2 ** exponent * (1 + f), with 1 + f between the roots of 1/2 and 2.
  const std::uint32_t bits = bits_of(value) - 0x3F3504F3u;
  const std::int32_t exponent = static_cast<std::int32_t>(bits) >> 23;
  const float f = float_of((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  // log(1 + f) = 2 artanh(s), s = f / (2 + f), |s| < 0.172.
  const float s = f / (2.0f + f), z = s * s;
  float series = 1.0f / 9.0f;
  series = series * z + 1.0f / 7.0f;
  series = series * z + 1.0f / 5.0f;
  series = series * z + 1.0f / 3.0f;
  series = series * z + 1.0f;
  return static_cast<float>(exponent) + s * series * 2.8853900817779268f;  // 2 / ln 2
}

// The relative error is below 2e-7; below 2 ** -126 the result stays there.
inline float exp2_of(float value) {
  value = value < -126.0f ? -126.0f : value;
  value = value > 126.0f ? 126.0f : value;
  const float whole = nearest_whole(value);
  const float t = (value - whole) * 0.69314718055994531f;  // |t| < 0.35
  float series = 1.0f / 5040.0f;
  series = series * t + 1.0f / 720.0f;
  series = series * t + 1.0f / 120.0f;
  series = series * t + 1.0f / 24.0f;
  series = series * t + 1.0f / 6.0f;
  series = series * t + 0.5f;
  series = series * t + 1.0f;
  series = series * t + 1.0f;
  const auto exponent = static_cast<std::int32_t>(whole);
  return series * float_of(static_cast<std::uint32_t>(exponent + 127) << 23);
}

// Cosine and sine of a share of a whole turn, 0 to 1; the absolute error is below 2e-7.
inline void cos_sin_of_turn(float turn, float* cosine, float* sine) {
  const float quarter = nearest_whole(turn * 4.0f);
  const float t = (turn - quarter * 0.25f) * 6.2831853071795865f;  // |t| <= pi / 4
  const float z = t * t;
  float s = 1.0f / 362880.0f;
  s = s * z - 1.0f / 5040.0f;
  s = s * z + 1.0f / 120.0f;
  s = s * z - 1.0f / 6.0f;
  s = (s * z + 1.0f) * t;
  float c = -1.0f / 3628800.0f;
  c = c * z + 1.0f / 40320.0f;
  c = c * z - 1.0f / 720.0f;
  c = c * z + 1.0f / 24.0f;
  c = c * z - 0.5f;
  c = c * z + 1.0f;
  const auto number = static_cast<std::uint32_t>(static_cast<std::int32_t>(quarter));
  const bool odd = (number & 1u) != 0;
  const std::uint32_t cosine_sign = ((number + 1u) & 2u) << 30, sine_sign = (number & 2u) << 30;
  *cosine = float_of(bits_of(odd ? s : c) ^ cosine_sign);
  *sine = float_of(bits_of(odd ? c : s) ^ sine_sign);
}
