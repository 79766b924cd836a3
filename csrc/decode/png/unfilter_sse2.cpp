// SSE2 is part of x86-64: no flag of its own, but chosen at run time like the other levels so that both are
// tested.
#include <emmintrin.h>

#include <cstring>

#include "decode/png/unfilter.hpp"

namespace medshard::decode::png {
namespace {

// The last pixel of sixteen bytes, repeated over all of them.
template <int Step>
inline __m128i last_pixel(__m128i x) {
  if constexpr (Step == 1) return _mm_set1_epi8(static_cast<char>(_mm_extract_epi16(x, 7) >> 8));
  if constexpr (Step == 2) return _mm_shuffle_epi32(_mm_unpackhi_epi16(x, x), 0xFF);
  if constexpr (Step == 4) return _mm_shuffle_epi32(x, 0xFF);
  return _mm_unpackhi_epi64(x, x);
}

// A running sum, sixteen bytes at a time: within them by doubling shifts, then the pixel before is added to
// all.
template <int Step>
void sub_by_sums(std::uint8_t* row, std::size_t size) {
  __m128i before = _mm_setzero_si128();
  std::size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + i));
    if constexpr (Step <= 1) x = _mm_add_epi8(x, _mm_slli_si128(x, 1));
    if constexpr (Step <= 2) x = _mm_add_epi8(x, _mm_slli_si128(x, 2));
    if constexpr (Step <= 4) x = _mm_add_epi8(x, _mm_slli_si128(x, 4));
    x = _mm_add_epi8(x, _mm_slli_si128(x, 8));
    x = _mm_add_epi8(x, before);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(row + i), x);
    before = last_pixel<Step>(x);
  }
  for (i = i < Step ? Step : i; i < size; ++i) row[i] = static_cast<std::uint8_t>(row[i] + row[i - Step]);
}

template <int Step>
inline __m128i load(const std::uint8_t* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, Step);
  return _mm_cvtsi64_si128(static_cast<long long>(value));
}

template <int Step>
inline void store(std::uint8_t* at, __m128i x) {
  const auto value = static_cast<std::uint64_t>(_mm_cvtsi128_si64(x));
  std::memcpy(at, &value, Step);
}

template <int Step>
void sub_by_pixels(std::uint8_t* row, std::size_t size) {
  __m128i left = _mm_setzero_si128();
  for (std::size_t i = 0; i + Step <= size; i += Step) {
    left = _mm_add_epi8(left, load<Step>(row + i));
    store<Step>(row + i, left);
  }
}

template <int Step>
void average(std::uint8_t* row, const std::uint8_t* above, std::size_t size) {
  __m128i left = _mm_setzero_si128();
  for (std::size_t i = 0; i + Step <= size; i += Step) {
    const __m128i up = load<Step>(above + i);
    // _mm_avg_epu8 rounds up where the filter rounds down.
    const __m128i odd = _mm_and_si128(_mm_xor_si128(left, up), _mm_set1_epi8(1));
    left = _mm_add_epi8(_mm_sub_epi8(_mm_avg_epu8(left, up), odd), load<Step>(row + i));
    store<Step>(row + i, left);
  }
}

inline __m128i magnitude(__m128i x) { return _mm_max_epi16(x, _mm_sub_epi16(_mm_setzero_si128(), x)); }

inline __m128i choose(__m128i where, __m128i yes, __m128i no) {
  return _mm_or_si128(_mm_and_si128(where, yes), _mm_andnot_si128(where, no));
}

template <int Step>
void paeth(std::uint8_t* row, const std::uint8_t* above, std::size_t size) {
  const __m128i zero = _mm_setzero_si128();
  __m128i a = zero, c = zero;  // of 16 bits a byte
  for (std::size_t i = 0; i + Step <= size; i += Step) {
    const __m128i b = _mm_unpacklo_epi8(load<Step>(above + i), zero);
    const __m128i b_less_c = _mm_sub_epi16(b, c), a_less_c = _mm_sub_epi16(a, c);
    const __m128i to_a = magnitude(b_less_c), to_b = magnitude(a_less_c);
    const __m128i to_c = magnitude(_mm_add_epi16(b_less_c, a_less_c));
    const __m128i least = _mm_min_epi16(to_c, _mm_min_epi16(to_a, to_b));
    const __m128i predicted =
        choose(_mm_cmpeq_epi16(least, to_a), a, choose(_mm_cmpeq_epi16(least, to_b), b, c));
    const __m128i x = _mm_add_epi8(load<Step>(row + i), _mm_packus_epi16(predicted, predicted));
    store<Step>(row + i, x);
    a = _mm_unpacklo_epi8(x, zero);
    c = b;
  }
}

template <int Step>
bool unfilter(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size) {
  if (filter == kSub) {
    if constexpr (Step == 3 || Step == 6) {
      sub_by_pixels<Step>(row, size);
    } else {
      sub_by_sums<Step>(row, size);
    }
    return true;
  }
  if (filter == kAverage && Step > 2) {
    average<Step>(row, above, size);
    return true;
  }
  if (filter == kPaeth && Step > 2) {
    paeth<Step>(row, above, size);
    return true;
  }
  return unfilter_scalar(filter, row, above, size, Step);
}

}  // namespace

bool unfilter_sse2(std::uint8_t filter, std::uint8_t* row, const std::uint8_t* above, std::size_t size,
                   int step) {
  switch (step) {
    case 1:
      return unfilter<1>(filter, row, above, size);
    case 2:
      return unfilter<2>(filter, row, above, size);
    case 3:
      return unfilter<3>(filter, row, above, size);
    case 4:
      return unfilter<4>(filter, row, above, size);
    case 6:
      return unfilter<6>(filter, row, above, size);
    default:
      return unfilter<8>(filter, row, above, size);
  }
}

}  // namespace medshard::decode::png
