// The inverse DCT with AVX2: eight columns side by side, then eight rows. The same sums as transform.inl.

inline __m256i pairs(__m128i a, __m128i b) {
  return _mm256_set_m128i(_mm_unpackhi_epi16(a, b), _mm_unpacklo_epi16(a, b));
}
inline __m256i dot(__m256i pair, int a, int b) {
  return _mm256_madd_epi16(pair, _mm256_set1_epi32(static_cast<int>(static_cast<unsigned>(a) & 0xFFFF) |
                                                   static_cast<int>(static_cast<unsigned>(b) << 16)));
}
template <int kBits>
inline __m128i descaled(__m256i value) {
  value = _mm256_srai_epi32(_mm256_add_epi32(value, _mm256_set1_epi32(1 << (kBits - 1))), kBits);
  return _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
}

// One dimension, along the index of `r`; all eight lanes.
template <int kBits>
inline void pass8(__m128i* r) {
  const __m256i z26 = pairs(r[2], r[6]);
  const __m256i even2 = dot(z26, 4433, 4433 - 15137), even3 = dot(z26, 4433 + 6270, 4433);
  const __m256i even0 = _mm256_slli_epi32(_mm256_cvtepi16_epi32(_mm_add_epi16(r[0], r[4])), kConstBits);
  const __m256i even1 = _mm256_slli_epi32(_mm256_cvtepi16_epi32(_mm_sub_epi16(r[0], r[4])), kConstBits);
  const __m256i sum0 = _mm256_add_epi32(even0, even3), sum3 = _mm256_sub_epi32(even0, even3);
  const __m256i sum1 = _mm256_add_epi32(even1, even2), sum2 = _mm256_sub_epi32(even1, even2);
  const __m256i z34 = pairs(_mm_add_epi16(r[7], r[3]), _mm_add_epi16(r[5], r[1]));
  const __m256i turned3 = dot(z34, 9633 - 16069, 9633), turned4 = dot(z34, 9633, 9633 - 3196);
  const __m256i z71 = pairs(r[7], r[1]), z53 = pairs(r[5], r[3]);
  const __m256i odd0 = _mm256_add_epi32(dot(z71, -7373, 12299 - 7373), turned4);
  const __m256i odd1 = _mm256_add_epi32(dot(z53, -20995, 25172 - 20995), turned3);
  const __m256i odd2 = _mm256_add_epi32(dot(z53, 16819 - 20995, -20995), turned4);
  const __m256i odd3 = _mm256_add_epi32(dot(z71, 2446 - 7373, -7373), turned3);
  r[0] = descaled<kBits>(_mm256_add_epi32(sum0, odd0));
  r[7] = descaled<kBits>(_mm256_sub_epi32(sum0, odd0));
  r[1] = descaled<kBits>(_mm256_add_epi32(sum1, odd1));
  r[6] = descaled<kBits>(_mm256_sub_epi32(sum1, odd1));
  r[2] = descaled<kBits>(_mm256_add_epi32(sum2, odd2));
  r[5] = descaled<kBits>(_mm256_sub_epi32(sum2, odd2));
  r[3] = descaled<kBits>(_mm256_add_epi32(sum3, odd3));
  r[4] = descaled<kBits>(_mm256_sub_epi32(sum3, odd3));
}

inline void transpose8(__m128i* r) {
  __m128i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
    a[2 * i + 1] = _mm_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    r[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
    r[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
  }
}

inline __m128i scaled_row(const std::int16_t* block, const std::uint16_t* quantiser, int row) {
  return _mm_mullo_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(block + 8 * row)),
                         _mm_loadu_si128(reinterpret_cast<const __m128i*>(quantiser + 8 * row)));
}
inline __m128i either(__m128i a, __m128i b) { return _mm_or_si128(a, b); }
inline bool all_zero(__m128i a) { return _mm_testz_si128(a, a) != 0; }
inline __m128i to_samples(__m128i a, __m128i b) {
  return _mm_xor_si128(_mm_packs_epi16(a, b), _mm_set1_epi8(static_cast<char>(0x80)));
}

inline void inverse8(const std::int16_t* block, const std::uint16_t* quantiser, std::uint8_t* out,
                     std::size_t stride) {
  __m128i r[8];
  for (int i = 0; i < 8; ++i) r[i] = scaled_row(block, quantiser, i);
  const __m128i below =
      either(either(either(r[1], r[2]), either(r[3], r[4])), either(either(r[5], r[6]), r[7]));
  if (all_zero(below)) {
    // Every row is the first one: transposed, a lane's value repeated.
    const __m128i flat = _mm_slli_epi16(r[0], kPass1Bits);
    for (int i = 0; i < 8; ++i) r[i] = flat;
  } else {
    pass8<kConstBits - kPass1Bits>(r);
  }
  transpose8(r);
  pass8<kConstBits + kPass1Bits + 3>(r);
  // r[i] is column i; back to rows, as bytes.
  const __m128i c01 = to_samples(r[0], r[1]), c23 = to_samples(r[2], r[3]);
  const __m128i c45 = to_samples(r[4], r[5]), c67 = to_samples(r[6], r[7]);
  const __m128i a0 = _mm_unpacklo_epi8(c01, c45), a1 = _mm_unpackhi_epi8(c01, c45);
  const __m128i a2 = _mm_unpacklo_epi8(c23, c67), a3 = _mm_unpackhi_epi8(c23, c67);
  const __m128i b0 = _mm_unpacklo_epi8(a0, a2), b1 = _mm_unpackhi_epi8(a0, a2);
  const __m128i b2 = _mm_unpacklo_epi8(a1, a3), b3 = _mm_unpackhi_epi8(a1, a3);
  const __m128i rows[4] = {_mm_unpacklo_epi8(b0, b2), _mm_unpackhi_epi8(b0, b2), _mm_unpacklo_epi8(b1, b3),
                           _mm_unpackhi_epi8(b1, b3)};
  for (int i = 0; i < 4; ++i) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + static_cast<std::size_t>(2 * i) * stride), rows[i]);
    _mm_storeh_pd(reinterpret_cast<double*>(out + static_cast<std::size_t>(2 * i + 1) * stride),
                  _mm_castsi128_pd(rows[i]));
  }
}

// Two blocks at a time, one in each half of the registers.
struct Half {
  const std::int16_t* block;
  const std::uint16_t* quantiser;
  std::uint8_t* out;
  std::size_t stride;
};

// Products of two rows' lanes with two factors, as two registers: columns 0 to 3 and 4 to 7 of both blocks.
struct Wide {
  __m256i low, high;
};
inline Wide both_pairs(__m256i a, __m256i b) {
  return {_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)};
}
inline Wide dot(Wide pair, int a, int b) { return {dot(pair.low, a, b), dot(pair.high, a, b)}; }
inline Wide operator+(Wide a, Wide b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline Wide operator-(Wide a, Wide b) {
  return {_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}

// value * 2^kConstBits, with what rounds the later shift.
template <int kBits>
inline Wide raised(__m256i value) {
  const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (kBits - 1));
  constexpr int kShift = 16 - kConstBits;
  return {_mm256_add_epi32(_mm256_srai_epi32(_mm256_unpacklo_epi16(zero, value), kShift), half),
          _mm256_add_epi32(_mm256_srai_epi32(_mm256_unpackhi_epi16(zero, value), kShift), half)};
}
template <int kBits>
inline __m256i lowered(Wide value) {
  return _mm256_packs_epi32(_mm256_srai_epi32(value.low, kBits), _mm256_srai_epi32(value.high, kBits));
}

template <int kBits>
inline void pass8(__m256i* r) {
  const Wide z26 = both_pairs(r[2], r[6]);
  const Wide even2 = dot(z26, 4433, 4433 - 15137), even3 = dot(z26, 4433 + 6270, 4433);
  const Wide even0 = raised<kBits>(_mm256_add_epi16(r[0], r[4]));
  const Wide even1 = raised<kBits>(_mm256_sub_epi16(r[0], r[4]));
  const Wide sum0 = even0 + even3, sum3 = even0 - even3, sum1 = even1 + even2, sum2 = even1 - even2;
  const Wide z34 = both_pairs(_mm256_add_epi16(r[7], r[3]), _mm256_add_epi16(r[5], r[1]));
  const Wide turned3 = dot(z34, 9633 - 16069, 9633), turned4 = dot(z34, 9633, 9633 - 3196);
  const Wide z71 = both_pairs(r[7], r[1]), z53 = both_pairs(r[5], r[3]);
  const Wide odd0 = dot(z71, -7373, 12299 - 7373) + turned4, odd1 = dot(z53, -20995, 25172 - 20995) + turned3;
  const Wide odd2 = dot(z53, 16819 - 20995, -20995) + turned4, odd3 = dot(z71, 2446 - 7373, -7373) + turned3;
  r[0] = lowered<kBits>(sum0 + odd0);
  r[7] = lowered<kBits>(sum0 - odd0);
  r[1] = lowered<kBits>(sum1 + odd1);
  r[6] = lowered<kBits>(sum1 - odd1);
  r[2] = lowered<kBits>(sum2 + odd2);
  r[5] = lowered<kBits>(sum2 - odd2);
  r[3] = lowered<kBits>(sum3 + odd3);
  r[4] = lowered<kBits>(sum3 - odd3);
}

inline void transpose8(__m256i* r) {
  __m256i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_epi16(r[2 * i], r[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_epi16(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    b[4 * i] = _mm256_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm256_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm256_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm256_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    r[2 * i] = _mm256_unpacklo_epi64(b[i], b[i + 4]);
    r[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 4]);
  }
}

inline void store_rows(__m128i rows, std::uint8_t* out, std::size_t stride) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), rows);
  _mm_storeh_pd(reinterpret_cast<double*>(out + stride), _mm_castsi128_pd(rows));
}

inline void inverse8_pair(const Half& first, const Half& second) {
  __m256i r[8];
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm256_set_m128i(scaled_row(second.block, second.quantiser, i),
                            scaled_row(first.block, first.quantiser, i));
  }
  const __m256i below =
      _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(r[1], r[2]), _mm256_or_si256(r[3], r[4])),
                      _mm256_or_si256(_mm256_or_si256(r[5], r[6]), r[7]));
  if (all_zero(_mm256_castsi256_si128(below)) || all_zero(_mm256_extracti128_si256(below, 1))) {
    inverse8(first.block, first.quantiser, first.out, first.stride);
    inverse8(second.block, second.quantiser, second.out, second.stride);
    return;
  }
  pass8<kConstBits - kPass1Bits>(r);
  transpose8(r);
  pass8<kConstBits + kPass1Bits + 3>(r);
  const __m256i bias = _mm256_set1_epi8(static_cast<char>(0x80));
  const auto samples = [&](int i) { return _mm256_xor_si256(_mm256_packs_epi16(r[i], r[i + 1]), bias); };
  const __m256i c01 = samples(0), c23 = samples(2), c45 = samples(4), c67 = samples(6);
  const __m256i a0 = _mm256_unpacklo_epi8(c01, c45), a1 = _mm256_unpackhi_epi8(c01, c45);
  const __m256i a2 = _mm256_unpacklo_epi8(c23, c67), a3 = _mm256_unpackhi_epi8(c23, c67);
  const __m256i b0 = _mm256_unpacklo_epi8(a0, a2), b1 = _mm256_unpackhi_epi8(a0, a2);
  const __m256i b2 = _mm256_unpacklo_epi8(a1, a3), b3 = _mm256_unpackhi_epi8(a1, a3);
  const __m256i rows[4] = {_mm256_unpacklo_epi8(b0, b2), _mm256_unpackhi_epi8(b0, b2),
                           _mm256_unpacklo_epi8(b1, b3), _mm256_unpackhi_epi8(b1, b3)};
  for (int i = 0; i < 4; ++i) {
    const auto y = static_cast<std::size_t>(2 * i);
    store_rows(_mm256_castsi256_si128(rows[i]), first.out + y * first.stride, first.stride);
    store_rows(_mm256_extracti128_si256(rows[i], 1), second.out + y * second.stride, second.stride);
  }
}

// Lanes of 32 bits for the second pass of 4 x 4.
inline __m128i dot(__m128i pair, int a, int b) {
  return _mm_madd_epi16(pair, _mm_set1_epi32(static_cast<int>(static_cast<unsigned>(a) & 0xFFFF) |
                                             static_cast<int>(static_cast<unsigned>(b) << 16)));
}
template <int kBits>
inline __m128i descaled4(__m128i value) {
  return _mm_srai_epi32(_mm_add_epi32(value, _mm_set1_epi32(1 << (kBits - 1))), kBits);
}

inline void inverse4(const std::int16_t* block, const std::uint16_t* quantiser, std::uint8_t* out,
                     std::size_t stride) {
  __m128i r[8];
  for (int i = 0; i < 8; ++i) r[i] = scaled_row(block, quantiser, i);
  if (all_zero(either(either(either(r[1], r[2]), either(r[3], r[5])), either(r[6], r[7])))) {
    r[0] = r[1] = r[2] = r[3] = _mm_slli_epi16(r[0], kPass1Bits);
  } else {
    constexpr int kBits = kConstBits - kPass1Bits + 1;
    const __m256i even0 = _mm256_slli_epi32(_mm256_cvtepi16_epi32(r[0]), kConstBits + 1);
    const __m256i even2 = dot(pairs(r[2], r[6]), 15137, -6270);
    const __m256i z13 = pairs(r[1], r[3]), z57 = pairs(r[5], r[7]);
    const __m256i odd0 = _mm256_add_epi32(dot(z13, 8697, -17799), dot(z57, 11893, -1730));
    const __m256i odd2 = _mm256_add_epi32(dot(z13, 20995, 7373), dot(z57, -4926, -4176));
    const __m256i high = _mm256_add_epi32(even0, even2), low = _mm256_sub_epi32(even0, even2);
    r[0] = descaled<kBits>(_mm256_add_epi32(high, odd2));
    r[1] = descaled<kBits>(_mm256_add_epi32(low, odd0));
    r[2] = descaled<kBits>(_mm256_sub_epi32(low, odd0));
    r[3] = descaled<kBits>(_mm256_sub_epi32(high, odd2));
  }
  const __m128i a0 = _mm_unpacklo_epi16(r[0], r[1]), a1 = _mm_unpackhi_epi16(r[0], r[1]);
  const __m128i a2 = _mm_unpacklo_epi16(r[2], r[3]), a3 = _mm_unpackhi_epi16(r[2], r[3]);
  // Columns 0 and 1, 2 and 3, 4 and 5, 6 and 7; four rows each.
  const __m128i c01 = _mm_unpacklo_epi32(a0, a2), c23 = _mm_unpackhi_epi32(a0, a2);
  const __m128i c45 = _mm_unpacklo_epi32(a1, a3), c67 = _mm_unpackhi_epi32(a1, a3);
  constexpr int kBits = kConstBits + kPass1Bits + 3 + 1;
  const __m128i even0 = _mm_slli_epi32(_mm_cvtepi16_epi32(c01), kConstBits + 1);
  const __m128i even2 = dot(_mm_unpacklo_epi16(c23, c67), 15137, -6270);
  const __m128i z13 = _mm_unpackhi_epi16(c01, c23), z57 = _mm_unpackhi_epi16(c45, c67);
  const __m128i odd0 = _mm_add_epi32(dot(z13, 8697, -17799), dot(z57, 11893, -1730));
  const __m128i odd2 = _mm_add_epi32(dot(z13, 20995, 7373), dot(z57, -4926, -4176));
  const __m128i high = _mm_add_epi32(even0, even2), low = _mm_sub_epi32(even0, even2);
  const __m128i columns = to_samples(_mm_packs_epi32(descaled4<kBits>(_mm_add_epi32(high, odd2)),
                                                     descaled4<kBits>(_mm_add_epi32(low, odd0))),
                                     _mm_packs_epi32(descaled4<kBits>(_mm_sub_epi32(low, odd0)),
                                                     descaled4<kBits>(_mm_sub_epi32(high, odd2))));
  const __m128i rows =
      _mm_shuffle_epi8(columns, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  alignas(16) std::uint8_t bytes[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), rows);
  for (int y = 0; y < 4; ++y) std::memcpy(out + static_cast<std::size_t>(y) * stride, bytes + 4 * y, 4);
}
