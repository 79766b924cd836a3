// Colour conversion with AVX2, sixteen pixels at a time in 16 bits. The factors are split so that each
// product fits: 1.402 = 1 + 0.402, 1.772 = 2 - 0.228, -0.71414 = 0.28586 - 1; the roundings come out as in
// colour.inl.

// (value * factor / 65536) rounded to the nearest, ties up.
inline __m256i rounded_product(__m256i value, int factor) {
  const __m256i twice =
      _mm256_mulhi_epi16(_mm256_add_epi16(value, value), _mm256_set1_epi16(static_cast<short>(factor)));
  return _mm256_srai_epi16(_mm256_add_epi16(twice, _mm256_set1_epi16(1)), 1);
}

inline __m256i green_product(__m256i cb, __m256i cr) {
  const __m256i factors =
      _mm256_set1_epi32(static_cast<int>(static_cast<std::uint16_t>(-22554) | 18734u << 16));
  const __m256i half = _mm256_set1_epi32(32768);
  const __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(cb, cr), factors);
  const __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(cb, cr), factors);
  return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(low, half), 16),
                            _mm256_srai_epi32(_mm256_add_epi32(high, half), 16));
}

inline __m128i narrowed(__m256i value) {
  return _mm_packus_epi16(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
}

inline __m256i widened(const std::uint8_t* in) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
}

// Sixteen pixels of three planes, interleaved.
inline void store_rgb(__m128i r, __m128i g, __m128i b, std::uint8_t* out) {
  const char z = -1;
  const __m128i p0 = _mm_or_si128(
      _mm_or_si128(_mm_shuffle_epi8(r, _mm_setr_epi8(0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z, z, 5)),
                   _mm_shuffle_epi8(g, _mm_setr_epi8(z, 0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z, z))),
      _mm_shuffle_epi8(b, _mm_setr_epi8(z, z, 0, z, z, 1, z, z, 2, z, z, 3, z, z, 4, z)));
  const __m128i p1 = _mm_or_si128(
      _mm_or_si128(_mm_shuffle_epi8(r, _mm_setr_epi8(z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z, 10, z)),
                   _mm_shuffle_epi8(g, _mm_setr_epi8(5, z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z, 10))),
      _mm_shuffle_epi8(b, _mm_setr_epi8(z, 5, z, z, 6, z, z, 7, z, z, 8, z, z, 9, z, z)));
  const __m128i p2 = _mm_or_si128(
      _mm_or_si128(_mm_shuffle_epi8(r, _mm_setr_epi8(z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15, z, z)),
                   _mm_shuffle_epi8(g, _mm_setr_epi8(z, z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15, z))),
      _mm_shuffle_epi8(b, _mm_setr_epi8(10, z, z, 11, z, z, 12, z, z, 13, z, z, 14, z, z, 15)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), p0);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16), p1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 32), p2);
}

void ycc_to_rgb(const std::uint8_t* y, const std::uint8_t* cb, const std::uint8_t* cr, std::size_t count,
                std::uint8_t* out) {
  const __m256i centre = _mm256_set1_epi16(128);
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i luma = widened(y + i);
    const __m256i blue = _mm256_sub_epi16(widened(cb + i), centre);
    const __m256i red = _mm256_sub_epi16(widened(cr + i), centre);
    const __m256i r = _mm256_add_epi16(luma, _mm256_add_epi16(red, rounded_product(red, 26345)));
    const __m256i g = _mm256_add_epi16(luma, _mm256_sub_epi16(green_product(blue, red), red));
    const __m256i b =
        _mm256_add_epi16(luma, _mm256_add_epi16(_mm256_add_epi16(blue, blue), rounded_product(blue, -14942)));
    store_rgb(narrowed(r), narrowed(g), narrowed(b), out + 3 * i);
  }
  ycc_to_rgb_scalar(y + i, cb + i, cr + i, count - i, out + 3 * i);
}
